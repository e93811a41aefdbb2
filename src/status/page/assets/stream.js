import { element } from './dom.js'

/** The proxy gives a sign of life every ten seconds. */
const LONGEST_SILENCE = 25_000
const PAUSE = 3_000

/** @type {EventSource | undefined} */
let source
let heardAt = 0

/**
 * Keeps listening, over lost connections and restarts of the proxy; not while nobody looks, because a browser has few
 * connections to one host.
 * @param {(message: import('./rows.js').Message) => void} onMessage
 */
export function watch(onMessage) {
  const open = () => {
    source?.close()
    heardAt = Date.now()
    source = new EventSource('/-/events')
    source.onmessage = ({ data }) => {
      heardAt = Date.now()
      show('on', 'Connected')
      onMessage(JSON.parse(data))
    }
    source.onerror = () => show('off', 'Not connected, trying again')
  }
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) return open()
    source?.close()
    source = undefined
  })
  setInterval(() => {
    if (document.hidden) return
    // A browser gives up for good when it is answered with a problem, as by a proxy that begins to end.
    if (source === undefined || source.readyState === EventSource.CLOSED || Date.now() - heardAt > LONGEST_SILENCE)
      open()
  }, PAUSE)
  open()
}

/**
 * @param {'on' | 'off'} state
 * @param {string} words
 */
function show(state, words) {
  const shown = element('#connection')
  if (shown.dataset.state === state) return
  shown.dataset.state = state
  shown.textContent = words
}
