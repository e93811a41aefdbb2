import { SLOT, type Traffic } from '../history.ts'
import { percent, rate } from './figures.ts'
import { type Html, html } from './html.ts'

/** Units of the drawing, which is stretched to the room there is. */
const STEP = 4
const HEIGHT = 28

/** Requests as an area under a line, failed ones as bars before it: told apart by shape, not by colour alone. */
export function sparkline(traffic: Traffic): Html {
  const { failed, perSecond, failedShare } = traffic
  const requests = levelled(traffic)
  const most = Math.max(...requests)
  const scale = (count: number) => Math.round((most === 0 ? 0 : (count / most) * (HEIGHT - 3)) * 10) / 10
  const points = requests.map((count, i) => `${i * STEP},${HEIGHT - 1 - scale(count)}`)
  const width = (requests.length - 1) * STEP
  const bars = failed.map((count, i) => {
    return count === 0 ? '' : `M${i * STEP},${HEIGHT}V${Math.min(HEIGHT - 4, HEIGHT - scale(count))}`
  })
  const line = `M${points.join('L')}`
  const said =
    most === 0
      ? 'No requests in the last 15 minutes'
      : `Requests over the last 15 minutes: now ${rate(perSecond)} a second, at most ${rate((most / SLOT) * 1000)}; ${percent(failedShare)} failed`
  return html`<svg class="spark${most === 0 ? ' idle' : ''}" viewBox="-${STEP} 0 ${width + 2 * STEP} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${said}">
<path class="area" d="${line}V${HEIGHT}H0Z"/><path class="line" d="${line}"/><path class="failed" d="${bars.join('')}"/></svg>`
}

/** A slot that is not over looks like a fall: what it lacks is made up from the one before. */
function levelled({ requests, elapsed }: Traffic): number[] {
  const [before = 0, newest = 0] = requests.slice(-2)
  return [...requests.slice(0, -1), newest + before * (1 - elapsed)]
}
