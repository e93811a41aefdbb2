import type { FailureCode } from '../errors.ts'
import type { Caller } from './callers.ts'

/** What became of one request: filled in on its way, read once at its end by the log, the audit and the metrics. */
export class Account {
  readonly started = performance.now()
  caller: Caller | undefined
  /** Name of the appliance, once it is known. */
  appliance: string | undefined
  /** Path and query, as the appliance gets them; without an appliance, as the caller sent them. */
  path: string
  /** The answer is the appliance's own. */
  fromUpstream = false
  /** Why the proxy answered itself. */
  failure: FailureCode | undefined
  /** Bytes of the bodies. */
  bytesUp = 0
  bytesDown = 0
  /** Milliseconds spent waiting for a session. */
  waited = 0
  /** Milliseconds from the start to the first byte of the appliance's answer. */
  firstByte: number | undefined
  replayed = false

  constructor(path: string) {
    this.path = path
  }

  get duration(): number {
    return performance.now() - this.started
  }
}
