import type { Logger } from 'pino'
import type { Appliance } from './appliance.ts'
import type { Audit } from './audit.ts'
import type { Configuration } from './config/configuration.ts'
import { levelsOf } from './log.ts'
import type { Account, EndedRequest } from './proxy/account.ts'
import type { Redactor } from './redactor.ts'
import { RequestLog } from './request-log.ts'
import type { SessionEvent } from './session/session.ts'
import { History } from './status/history.ts'
import { Metrics } from './status/metrics.ts'
import { Watchers } from './status/page/watchers.ts'
import { openTracing } from './tracing/open.ts'

export interface Observed {
  configuration: Configuration
  version: string
  log: Logger
  redactor: Redactor
  audit: Audit | undefined
  appliances: () => ReadonlyMap<string, Appliance>
  /** As in `MetricsParts`. */
  listenerCertificate: () => string | undefined
  onEvent?: (appliance: string, event: SessionEvent) => void
}

/**
 * Whoever is told of every request, and of everything that happens to a session.
 * @throws ConfigurationError where tracing is on and cannot be
 */
export async function observersOf(observed: Observed) {
  const { configuration, version, log, redactor, audit, appliances, listenerCertificate, onEvent } = observed
  const { source } = configuration
  const tracing = configuration.tracing === true ? await openTracing({ ...observed, source }) : undefined
  const metrics = new Metrics({ version, appliances, listenerCertificate })
  const requestLog = new RequestLog(log, redactor)
  const history = new History()
  return {
    metrics,
    history,
    watchers: new Watchers(),
    tracing,
    beginTrace: tracing?.begin,
    logLevels: levelsOf(log),
    onRequest(account: Account, request: EndedRequest) {
      metrics.request(account, request)
      history.record(account, request.status)
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
