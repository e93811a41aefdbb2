import type { IncomingMessage, ServerResponse } from 'node:http'

/** One whole answer. A string body is sent as it is, anything else as JSON; no body at all gives Content-Length 0. */
export interface Answer {
  status: number
  fields?: Record<string, string | string[]>
  body?: unknown
}

/** One request being answered. `path` is the raw target without its query. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  path: string
  query: URLSearchParams
}

export const problemJson = 'application/problem+json; charset=utf-8'

export function openExchange(request: IncomingMessage, response: ServerResponse): Exchange {
  const target = request.url ?? '/'
  const mark = target.indexOf('?')
  if (mark < 0) return { request, response, path: target, query: new URLSearchParams() }
  return { request, response, path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) }
}

export function send(response: ServerResponse, { status, fields = {}, body }: Answer): void {
  if (response.destroyed || response.headersSent) return
  for (const [name, value] of Object.entries(fields)) response.setHeader(name, value)
  response.statusCode = status
  if (body === undefined) {
    if (status !== 204 && status !== 304) response.setHeader('content-length', 0)
    response.end()
    return
  }
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'application/json; charset=utf-8')
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

/** The value of a single-valued request field, or undefined. */
export function field(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** The token of `Authorization: Bearer …`, or undefined. */
export function bearer(request: IncomingMessage): string | undefined {
  return /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
}
