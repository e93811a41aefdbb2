import type { FailureCode } from '../errors.ts'
import type { Caller } from './callers.ts'
import type { Trace } from './trace.ts'

/**
 * `hit`: answered from it; `miss`: by the appliance, asked for this request; `shared`: by the appliance, asked for
 * another one at the time; `stale`: from it in the place of a failure; `bypass`: it had no part in the request.
 */
export type CacheUse = 'hit' | 'miss' | 'shared' | 'stale' | 'bypass'

/** What became of one request: filled in on its way, read once at its end by the log, the audit and the metrics. */
export class Account {
  readonly started = performance.now()
  /** Of the request; the caller's own where it gave one. */
  readonly id: string
  caller: Caller | undefined
  /** Name of the appliance, once it is known. */
  appliance: string | undefined
  /** Path and query, as the appliance gets them; without an appliance, as the caller sent them. */
  path: string
  /** The answer is the appliance's own. */
  fromUpstream = false
  /** What the proxy answered in the place of the appliance. */
  emulated: 'sign-in' | 'sign-out' | undefined
  /** Why the proxy answered itself. */
  failure: FailureCode | undefined
  /** Whose rule was against it, where a rule was. */
  rule: string | undefined
  /** Bytes of the bodies. */
  bytesUp = 0
  bytesDown = 0
  /** Milliseconds spent waiting for a session. */
  waited = 0
  /** Milliseconds from the start to the first byte of the appliance's answer. */
  firstByte: number | undefined
  /** Answers of 401 that the appliance gave, whether or not the caller saw them. */
  rejections = 0
  replayed = false
  /** undefined where it is not followed by tracing. */
  trace: Trace | undefined
  /** What the cache did; undefined where there is none, or none for such a method. */
  cache: CacheUse | undefined
  #ended: number | undefined

  constructor(path: string, id: string) {
    this.path = path
    this.id = id
  }

  /** Takes over what a request has met that was sent on behalf of this one. */
  met({ waited, rejections, replayed }: Account): void {
    this.waited = waited
    this.rejections = rejections
    this.replayed = replayed
  }

  /** Milliseconds, up to its end or, before that, up to now. */
  get duration(): number {
    return (this.#ended ?? performance.now()) - this.started
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined
  }

  end(): void {
    this.#ended = performance.now()
  }
}

/** The request that an account is of, at its end. */
export interface EndedRequest {
  method: string
  /** Of the answer; `CALLER_LEFT` where none had begun. */
  status: number
  id: string
  /** The answer was sent to its end. */
  whole: boolean
}

/** The status of a request whose caller left before its answer had begun, as nginx has it. */
export const CALLER_LEFT = 499
