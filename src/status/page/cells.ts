import type { SessionStatus } from '../../session/session.ts'
import { actions } from './actions.ts'
import { duration, percent, rate, time } from './figures.ts'
import { type Html, html } from './html.ts'
import type { Row } from './row.ts'
import { sparkline } from './sparkline.ts'
import { type Tone, urgency } from './state.ts'

const DAY = 86_400_000
/** Days left below which a certificate is warned of. */
const SOON = 30

/** The columns of the table, in order. `order` is what the page's script sorts by, undefined behind everything. */
export const columns: readonly {
  name: CellName
  title: string
  order?: (row: Row) => string | number | undefined
  /** Sorted downwards at first. */
  most?: true
}[] = [
  { name: 'appliance', title: 'Appliance', order: ({ name }) => name },
  { name: 'state', title: 'State', order: ({ shown }) => urgency[shown.tone] },
  { name: 'session', title: 'Renewal', order: ({ session }) => session.renewsAt },
  { name: 'certificate', title: 'Certificate', order: ({ certificateExpires }) => certificateExpires },
  { name: 'traffic', title: 'Traffic', order: ({ traffic }) => traffic.perSecond, most: true },
  { name: 'latency', title: 'Latency', order: ({ traffic }) => traffic.p99, most: true },
  { name: 'actions', title: 'Actions' },
]

export type CellName = 'appliance' | 'state' | 'session' | 'certificate' | 'traffic' | 'latency' | 'actions' | 'trouble'

/** What is inside each cell. A time stands in it as itself and not as what is left, so that it changes when it does. */
export const cells: Readonly<Record<CellName, (row: Row) => Html>> = {
  appliance: ({ name, product, version, url }) => html`<span class="name">${name}</span>
<span class="sub">${product}</span>
<span class="sub url">${version === undefined ? '' : html`<span class="version">API ${version}</span> `}${url}</span>`,

  state: ({ shown: { word, tone }, session }) => html`<span class="state ${tone}">${sign(tone)}${word}</span>
<span class="sub">since ${time(session.since, 'clock')}</span>`,

  session: ({ session }) => {
    const { renewsAt, expiresAt } = session
    const verb = session.grantedAt === undefined ? 'next try' : 'renews'
    return html`${bar(session)}
<span class="main">${renewsAt === undefined ? nothingDue(session) : html`${verb} ${time(renewsAt, 'until')}`}</span>
<span class="sub">${expiresAt === undefined ? 'no token' : html`expires ${time(expiresAt, 'until')}`}</span>`
  },

  certificate: ({ trust, certificateExpires }) => {
    const isBad = trust === 'not verified' || trust === 'no TLS'
    const said = html`<span class="main${isBad ? ' warned' : ''}">${isBad ? sign('warn') : ''}${trust}</span>`
    if (certificateExpires === undefined) return said
    const days = Math.floor((certificateExpires - Date.now()) / DAY)
    const left = days < 0 ? 'expired' : `${days} ${days === 1 ? 'day' : 'days'} left`
    const isShort = days < SOON
    return html`${said}<span class="sub${isShort ? ' warned' : ''}">${isShort ? sign('warn') : ''}${left}</span>`
  },

  traffic: ({ traffic }) => {
    const { failedShare, perSecond } = traffic
    const failed = failedShare > 0 ? 'failing' : 'sub'
    return html`${sparkline(traffic)}
<span class="figures"><span>${rate(perSecond)} <abbr title="requests per second">req/s</abbr></span> <span class="${failed}">${percent(failedShare)} errors</span></span>`
  },

  latency: ({ traffic: { p50, p99 } }) =>
    p50 === undefined || p99 === undefined
      ? html`<span class="sub">no requests</span>`
      : html`<span class="figure"><abbr title="half of the answers began within">p50</abbr> ${duration(p50)}</span>
<span class="figure"><abbr title="99 of 100 answers began within">p99</abbr> ${duration(p99)}</span>`,

  actions,

  trouble: ({ trouble }) => {
    if (trouble === undefined) return html``
    const { title, detail, remedy, at, times } = trouble
    return html`<p><strong>${title}</strong>${times > 1 ? ` (${times} times)` : ''}, ${time(at, 'clock')}. ${detail}</p>
<p class="remedy"><span>What to do</span> ${remedy}.</p>`
  },
}

export function sign(tone: Tone): Html {
  return html`<svg class="sign" aria-hidden="true"><use href="#sign-${tone}"/></svg>`
}

/** Says nothing that the text beside it does not say. The page's script lets it run down. */
function bar({ grantedAt, lastError, renewsAt }: SessionStatus): Html {
  const from = Math.max(grantedAt ?? 0, lastError?.at ?? 0)
  if (renewsAt === undefined || from === 0) return html`<svg class="bar" aria-hidden="true"></svg>`
  const left = Math.max(0, Math.min(1, (renewsAt - Date.now()) / Math.max(1, renewsAt - from)))
  const tenth = Math.round(left * 10) * 10
  return html`<svg class="bar" data-from="${from}" data-until="${renewsAt}" aria-hidden="true"><rect width="${tenth}%" height="100%"/></svg>`
}

function nothingDue({ state }: SessionStatus): string {
  switch (state) {
    case 'waiting':
      return 'waits for a person'
    case 'refused':
      return 'waits for other credentials'
    case 'signed-out':
      return 'until somebody signs in'
    default:
      return 'under way'
  }
}
