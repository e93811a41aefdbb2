import { type ServerResponse, STATUS_CODES } from 'node:http'
import { type Failure, failures } from '../errors.ts'
import type { Account } from './account.ts'
import { ownFieldsOf } from './own-fields.ts'

/** An answer of the proxy itself: problem details (RFC 9457) with a stable `code`. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: string
  source: 'proxy'
  remedy: string
  [extension: string]: unknown
}

export const PROBLEM_TYPE = 'application/problem+json'

/** @param appliance the name of the appliance it is about, if any */
export function problemOf(failure: Failure, appliance?: string): Problem {
  const { status, title, remedy } = failures[failure.code]
  return {
    type: `urn:veeam-auth-proxy:problem:${failure.code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    detail: failure.message,
    code: failure.code,
    source: 'proxy',
    remedy: appliance === undefined ? remedy : remedy.replace('NAME', appliance),
    ...(appliance === undefined ? {} : { appliance }),
    ...failure.extensions,
  }
}

/** As bytes: Fastify would add a charset, which the media type does not have. */
export function problemBody(failure: Failure, appliance?: string): Buffer {
  return Buffer.from(JSON.stringify(problemOf(failure, appliance)))
}

/** The fields of a problem answer, names in lower case. */
export function problemFields(failure: Failure): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' }
  // A field for each: Chrome reads one challenge of a field, and asks for name and secret only when that one is Basic.
  if (failure.code === 'CALLER_UNKNOWN')
    fields['www-authenticate'] = ['Bearer realm="veeam-auth-proxy"', 'Basic realm="veeam-auth-proxy"']
  if (failure.retryAfter !== undefined)
    fields['retry-after'] = String(Math.max(1, Math.ceil(failure.retryAfter / 1000)))
  return fields
}

/** Answers on the raw response, where Fastify has let go of it. Once an answer has begun it can only be broken off. */
export function writeProblem(response: ServerResponse, failure: Failure, appliance: string, account: Account): void {
  if (response.headersSent || response.destroyed) {
    breakOff(response)
    return
  }
  const body = problemBody(failure, appliance)
  response.writeHead(failure.status, STATUS_CODES[failure.status], {
    ...Object.fromEntries(ownFieldsOf(response)),
    ...problemFields(failure),
    'content-length': body.length,
    'x-request-id': account.id,
  })
  if (response.req.method !== 'HEAD') account.bytesDown = body.length
  response.end(body)
}

/**
 * Ends an answer so that its caller sees that it is not whole. One of HTTP/1.0 has no other sign than a reset, which
 * only plain TCP knows.
 */
function breakOff(response: ServerResponse): void {
  const { socket, req } = response
  const isTcp = socket !== null && socket.remoteAddress !== undefined && !('encrypted' in socket)
  if (isTcp && req.httpVersionMinor === 0) socket.resetAndDestroy()
  else response.destroy()
}
