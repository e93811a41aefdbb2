import type { Failure } from '../errors.ts'

/** What an answer is written to, as Node.js does it: the caller's own response is one. */
export interface Downstream {
  readonly closed: boolean
  readonly destroyed: boolean
  readonly writableEnded: boolean
  readonly writableFinished: boolean
  on(event: 'close', listener: () => void): unknown
  once(event: 'drain', listener: () => void): unknown
  /** @param fields flat: name, value, name, value … */
  writeHead(status: number, reason: string, fields: string[]): unknown
  flushHeaders(): void
  /** @returns false when no more shall come before `drain` */
  write(bytes: Buffer): boolean
  end(last?: Buffer): unknown
}

/** One that stands between an answer and the callers it is for. */
export interface Relay extends Downstream {
  /** Preconditions of the request stay here: the answer is wanted whole, and they are judged by what it is. */
  readonly wantsAll: boolean
  /** There is no answer, or no end of one. */
  fail(failure: Failure): void
}
