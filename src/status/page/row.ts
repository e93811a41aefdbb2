import type { Appliance } from '../../appliance.ts'
import { type FailureCode, failures } from '../../errors.ts'
import type { SessionStatus } from '../../session/session.ts'
import type { History, Traffic } from '../history.ts'
import { type Shown, shown } from './state.ts'

/** What one appliance's row shows. Times are epoch milliseconds. */
export interface Row {
  name: string
  product: string
  version: string | undefined
  url: string
  session: SessionStatus
  shown: Shown
  traffic: Traffic
  trust: string
  /** When the certificate that the appliance shows expires, where that is known. */
  certificateExpires: number | undefined
  trouble: Trouble | undefined
}

/** The last thing that went wrong, and what to do about it. */
export interface Trouble {
  title: string
  detail: string
  remedy: string
  at: number
  times: number
}

/** What the latest connection has shown, where it is known. */
interface Showing {
  name: string
  certificate?: { validTo: number } | undefined
}

export function rowOf(appliance: Appliance, history: History): Row {
  const { name, product, origin, trust, apiVersion } = appliance
  const session = appliance.session.status()
  const traffic = history.trafficOf(name)
  const { certificate }: Showing = appliance
  return {
    name,
    product: product.title,
    version: apiVersion ?? traffic.version,
    url: origin,
    session,
    shown: shown(session),
    traffic,
    trust,
    certificateExpires: certificate?.validTo,
    trouble: sessionTrouble(session, name) ?? requestTrouble(traffic),
  }
}

/** Where the page itself is the remedy. */
const here: Partial<Record<FailureCode, string>> = {
  CODE_WANTED: 'Type the code that the authenticator shows now, and press Give code',
  SIGN_IN_REFUSED: 'Correct the user name or password in the configuration, then press Sign in',
}

function sessionTrouble({ lastError }: SessionStatus, name: string): Trouble | undefined {
  if (lastError === undefined) return undefined
  const { code, detail, remedy, at, times } = lastError
  return { title: failures[code].title, detail, remedy: here[code] ?? remedy.replace('NAME', name), at, times }
}

/** Failures of requests that say nothing of the session, which has an error of its own when it is missing. */
const ofRequests = new Set<FailureCode>([
  'APPLIANCE_UNREACHABLE',
  'APPLIANCE_TIMEOUT',
  'CERTIFICATE_UNTRUSTED',
  'ANSWER_BROKEN',
  'OVERLOADED',
  'INTERNAL',
])

function requestTrouble({ trouble, failed }: Traffic): Trouble | undefined {
  if (trouble === undefined) return undefined
  const { at, status, failure } = trouble
  const times = failed.reduce((total, count) => total + count, 0)
  if (failure === undefined) {
    const remedy = 'Look at the log of the appliance, and at what the callers asked for'
    return { title: 'Requests fail', detail: `The appliance answered ${status}.`, remedy, at, times }
  }
  if (!ofRequests.has(failure)) return undefined
  const { title, remedy } = failures[failure]
  return { title, detail: 'Requests fail, while there is a session.', remedy, at, times }
}
