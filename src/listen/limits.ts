import type { IncomingMessage, ServerOptions } from 'node:http'
import type { RefusalCode } from './refusal.ts'

/** How much a caller may take up before anybody has looked at what it wants. */
export interface Limits {
  /** Bytes of a request's head: request line and fields. */
  head: number
  fields: number
  /** Bytes of path and query. */
  url: number
  /** At the same time; further ones are closed at once. */
  connections: number
  /** Milliseconds in which a TLS handshake, and then the head of a request, must have come. */
  headTimeout: number
  /** Milliseconds that a body may stand still. There is no limit to how long it may take: uploads are long. */
  bodyTimeout: number
}

export const defaultLimits: Limits = {
  head: 16_384,
  fields: 200,
  url: 8_192,
  connections: 4_096,
  headTimeout: 10_000,
  bodyTimeout: 60_000,
}

/** Milliseconds that a connection is kept for the caller's next request. */
const KEEP_ALIVE = 72_000
/** Bytes that may wait for a caller before its appliance has to: with the usual 16 KB downloads were a fifth slower. */
const ROOM = 65_536
/** Milliseconds between two looks for heads that are late, at most. */
const LONGEST_CHECK = 1_000

export function serverOptions({ head, headTimeout }: Limits): ServerOptions {
  return {
    maxHeaderSize: head,
    headersTimeout: headTimeout,
    connectionsCheckingInterval: Math.min(LONGEST_CHECK, Math.ceil(headTimeout / 4)),
    requestTimeout: 0,
    highWaterMark: ROOM,
    keepAliveTimeout: KEEP_ALIVE,
    // The guard answers for Host, with a problem.
    requireHostHeader: false,
  }
}

/** What a caller hears that takes this for a proxy of HTTP: one that names a whole address, or asks for a tunnel. */
export const forwardProxyWanted =
  'The request names the place that it is to be sent to, as one to an HTTP proxy does. This proxy knows its appliances by name.'

/** What the head of a request has too much of, or says that could not be forwarded as what it is; if anything. */
export function excessOf(
  { url = '', rawHeaders, headers, httpVersion, httpVersionMajor, httpVersionMinor }: IncomingMessage,
  { url: longest, fields: most }: Limits,
): { code: RefusalCode; detail: string } | undefined {
  if (url.length > longest) {
    return { code: 'URL_TOO_LONG', detail: `Path and query have ${url.length} bytes; ${longest} are served.` }
  }
  const fields = rawHeaders.length / 2
  if (fields > most)
    return { code: 'FIELDS_TOO_LARGE', detail: `The request has ${fields} fields; ${most} are served.` }
  if (httpVersionMajor !== 1) return { code: 'BAD_REQUEST', detail: `HTTP/${httpVersion} is not spoken here.` }
  if (!url.startsWith('/') && url !== '*') return { code: 'NOT_A_FORWARD_PROXY', detail: forwardProxyWanted }
  const coding = headers['transfer-encoding']
  if (coding === undefined || (coding.toLowerCase() === 'chunked' && httpVersionMinor > 0)) return undefined
  return { code: 'BAD_REQUEST', detail: 'The only transfer coding that is understood is chunked, of HTTP/1.1.' }
}
