/** Milliseconds by which this browser's clock is ahead of the proxy's. */
let ahead = 0

/** @param {number} now the proxy's clock, epoch milliseconds */
export function setClock(now) {
  ahead = Date.now() - now
}

/**
 * Shows what is left of every time and bar.
 * @param {ParentNode} root
 */
export function tick(root) {
  const now = Date.now() - ahead
  for (const time of root.querySelectorAll('time')) {
    const at = Date.parse(time.dateTime)
    const text = time.dataset.form === 'until' ? left(at - now) : clock(at + ahead)
    if (time.textContent === text) continue
    time.textContent = text
    time.title = new Date(at + ahead).toLocaleString()
  }
  for (const bar of root.querySelectorAll('svg[data-until]')) {
    const from = Number(bar.getAttribute('data-from'))
    const until = Number(bar.getAttribute('data-until'))
    const share = Math.max(0, Math.min(1, (until - now) / Math.max(1, until - from)))
    bar.querySelector('rect')?.setAttribute('width', `${(share * 100).toFixed(1)}%`)
  }
}

/** @param {number} milliseconds */
function left(milliseconds) {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds === 0) return 'now'
  return seconds > 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`
}

/** @param {number} seconds */
function span(seconds) {
  const minutes = Math.round(seconds / 60)
  const hours = Math.floor(minutes / 60)
  if (seconds < 90) return `${seconds} s`
  if (minutes < 90) return `${minutes} min`
  if (hours < 48) return minutes % 60 === 0 || hours > 5 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} days`
}

/** @param {number} at */
function clock(at) {
  const date = new Date(at)
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
  if (date.toDateString() === new Date().toDateString()) return time
  return `${date.toLocaleDateString([], { day: 'numeric', month: 'short' })}, ${time}`
}
