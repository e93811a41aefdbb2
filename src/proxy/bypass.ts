import type { ServerResponse } from 'node:http'
import { endWith } from '../end-of-turn.ts'
import type { Failure } from '../errors.ts'
import { type Forwarding, forwardedStatus } from './cache-status.ts'
import type { Relay } from './downstream.ts'
import { flushHead } from './flush-head.ts'
import type { Forwarded } from './forward.ts'
import { callersFields } from './own-fields.ts'
import { writeProblem } from './problem.ts'

interface Parts {
  /** Name of the appliance. */
  appliance: string
  forwarded: Forwarded
  why: Forwarding
}

/** Passes on the answer to a request in which the cache has no part, and says so. */
export class Bypass implements Relay {
  readonly wantsAll = false
  readonly #response: ServerResponse
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#response = parts.forwarded.response
    this.#parts = parts
  }

  get closed(): boolean {
    return this.#response.closed
  }

  get destroyed(): boolean {
    return this.#response.destroyed
  }

  get writableEnded(): boolean {
    return this.#response.writableEnded
  }

  get writableFinished(): boolean {
    return this.#response.writableFinished
  }

  on(event: 'close', listener: () => void): void {
    this.#response.on(event, listener)
  }

  once(event: 'drain', listener: () => void): void {
    this.#response.once(event, listener)
  }

  writeHead(status: number, reason: string, fields: string[]): void {
    const { forwarded, why } = this.#parts
    fields.push('Cache-Status', forwardedStatus(why), ...callersFields(this.#response, forwarded.account))
    this.#response.writeHead(status, reason, fields)
  }

  flushHeaders(): void {
    flushHead(this.#response)
  }

  write(bytes: Buffer): boolean {
    return this.#response.write(bytes)
  }

  end(last?: Buffer): void {
    endWith(this.#response, last)
  }

  fail(failure: Failure): void {
    const { appliance, forwarded, why } = this.#parts
    giveProblem(forwarded, failure, why, appliance)
  }
}

/** The same for a request that may change what the appliance answers to others. */
export class Unsafe extends Bypass {
  readonly #empty: () => void

  /** @param empty empties the cache; called when the request is sent, before its caller hears of it, and at the end */
  constructor(parts: Parts, empty: () => void) {
    super(parts)
    this.#empty = empty
    empty()
    this.on('close', empty)
  }

  override writeHead(status: number, reason: string, fields: string[]): void {
    this.#empty()
    super.writeHead(status, reason, fields)
  }

  override fail(failure: Failure): void {
    this.#empty()
    super.fail(failure)
  }
}

/** @param appliance its name */
export function giveProblem(
  { response, account }: Forwarded,
  failure: Failure,
  why: Forwarding,
  appliance: string,
): void {
  account.failure = failure.code
  if (!response.headersSent) response.setHeader('Cache-Status', forwardedStatus(why))
  writeProblem(response, failure, appliance, account)
}
