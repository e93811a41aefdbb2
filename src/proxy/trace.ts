import type { IncomingMessage } from 'node:http'
import type { Account, EndedRequest } from './account.ts'

/** What follows a request over both of its hops, where tracing is on. */
export interface Trace {
  /** It is sent to the appliance, once more perhaps. */
  sent(sending: { method: string; path: string; origin: string }): Hop
  ended(account: Account, request: EndedRequest): void
}

/** One sending to the appliance. */
export interface Hop {
  /** `traceparent` and, if there is any, `tracestate` (W3C Trace Context): they take the place of the caller's. */
  readonly fields: Readonly<Record<string, string>>
  answered(status: number): void
  /** @param error where no whole answer came */
  ended(error?: Error): void
}

/** @returns undefined for a request that is not followed */
export type BeginTrace = (request: IncomingMessage) => Trace | undefined
