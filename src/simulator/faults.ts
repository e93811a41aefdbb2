import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Answer, type Exchange, send } from './answer.ts'

export const faultStatuses = [401, 403, 408, 429, 500, 502, 503, 504] as const
export const faultManners = ['garbage', 'empty', 'html', 'huge', 'hang', 'reset', 'cut'] as const
export const faultPlaces = ['token', 'resources', 'all'] as const

export type FaultAnswer = (typeof faultStatuses)[number] | (typeof faultManners)[number]

/** What the simulator does instead of answering properly. */
export interface Fault {
  where: (typeof faultPlaces)[number]
  /**
   * A status with the product's own error body, or: `garbage` 200 with bytes that are no JSON; `empty` 200 without a
   * body; `html` 200 with a web page; `huge` 200 with 64 MiB of JSON; `hang` no answer ever; `reset` the connection is
   * reset (RST); `cut` half a body, then the connection is reset.
   * `hang` and `reset` strike after a request to `…/effects` took its effect: a repetition shows as a duplicate.
   */
  answer: FaultAnswer
  /** Value of `Retry-After`, seconds or an HTTP date. */
  retryAfter?: string
  /** How many requests it strikes; without it, all until it is taken back. */
  times?: number
}

export interface Faults {
  set(fault: Fault | undefined): void
  /** The fault that strikes this request, which is counted against `times`. */
  strike(kind: 'token' | 'resources'): Fault | undefined
}

export function createFaults(): Faults {
  let current: Fault | undefined
  let left = 0
  return {
    set: fault => {
      current = fault
      left = fault?.times ?? Number.POSITIVE_INFINITY
    },
    strike: kind => {
      if (current === undefined || left <= 0) return undefined
      if (current.where !== 'all' && current.where !== kind) return undefined
      left -= 1
      return current
    },
  }
}

const hugeLength = 64 * 1024 * 1024

export interface FaultTools {
  failure: (status: number, detail: string) => Answer
  /** The TCP socket beneath an exchange. */
  socketOf: (exchange: Exchange) => Socket | undefined
}

export async function commit(fault: Fault, exchange: Exchange, { failure, socketOf }: FaultTools): Promise<void> {
  const { request, response } = exchange
  const retry: Record<string, string> = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }
  if (typeof fault.answer === 'number') {
    const answer = failure(fault.answer, 'The simulator was told to fail.')
    return send(response, { ...answer, fields: { ...answer.fields, ...retry } })
  }
  switch (fault.answer) {
    case 'garbage':
      response.writeHead(200, { ...retry, 'content-type': 'application/json' })
      response.end(Buffer.concat([Buffer.from('{"access_token": '), randomBytes(256)]))
      return
    case 'empty':
      return send(response, { status: 200, fields: { ...retry, 'content-type': 'application/json' } })
    case 'html':
      return send(response, {
        status: 200,
        fields: { ...retry, 'content-type': 'text/html; charset=utf-8' },
        body: '<!DOCTYPE html><title>Maintenance</title><p>Please come back later.',
      })
    case 'huge':
      response.writeHead(200, { ...retry, 'content-type': 'application/json' })
      await pipeline(Readable.from(hugeJson()), response).catch(() => undefined)
      return
    case 'hang':
      request.resume()
      return
    case 'reset':
      socketOf(exchange)?.resetAndDestroy()
      return
    case 'cut':
      response.writeHead(200, { ...retry, 'content-type': 'application/json', 'content-length': 1000 })
      response.write(`{"results": "${'x'.repeat(400)}`, () => socketOf(exchange)?.resetAndDestroy())
      return
  }
}

function* hugeJson(): Generator<string> {
  const chunk = 'x'.repeat(64 * 1024)
  yield '{"access_token": "'
  for (let written = 0; written < hugeLength; written += chunk.length) yield chunk
  yield '"}'
}
