import type { Logger } from 'pino'
import type { Appliance } from './appliance.ts'
import type { Audit } from './audit.ts'
import { levelsOf } from './log.ts'
import type { Account, EndedRequest } from './proxy/account.ts'
import { RequestLog } from './request-log.ts'
import type { SessionEvent } from './session/session.ts'
import { Metrics } from './status/metrics.ts'

export interface Observed {
  version: string
  log: Logger
  audit: Audit | undefined
  appliances: () => ReadonlyMap<string, Appliance>
  /** As in `MetricsParts`. */
  listenerCertificate: () => string | undefined
  onEvent?: (appliance: string, event: SessionEvent) => void
}

/** Whoever is told of every request that has ended, and of everything that happens to a session. */
export function observersOf({ version, log, audit, appliances, listenerCertificate, onEvent }: Observed) {
  const metrics = new Metrics({ version, appliances, listenerCertificate })
  const requestLog = new RequestLog(log)
  return {
    metrics,
    logLevels: levelsOf(log),
    onRequest(account: Account, request: EndedRequest) {
      metrics.request(account, request)
      requestLog.write(account, request)
      audit?.request(account, request)
    },
    onEvent(appliance: string, event: SessionEvent) {
      metrics.session(appliance, event)
      audit?.session(appliance, event)
      onEvent?.(appliance, event)
    },
  }
}
