import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { failures } from '../errors.ts'
import { PROBLEM_TYPE, type Problem } from '../proxy/problem.ts'

/** What a listener refuses by itself, before any route. After each of them the connection ends. */
export type RefusalCode =
  | 'BAD_REQUEST'
  | 'NOT_A_FORWARD_PROXY'
  | 'URL_TOO_LONG'
  | 'FIELDS_TOO_LARGE'
  | 'REQUEST_STALLED'

/** Milliseconds in which a caller can still read its answer. */
const LINGER = 1_000

/** Answers a request whose head came whole. */
export function refuse(response: ServerResponse, code: RefusalCode, detail: string): void {
  const body = bodyOf(code, detail)
  response.shouldKeepAlive = false
  response.writeHead(failures[code].status, { ...fields, 'content-length': body.length })
  response.end(body)
}

/** Answers on the connection itself, where there is no request to answer. Nothing may have been answered before. */
export function refuseConnection(socket: Duplex, code: RefusalCode, detail: string): void {
  const { status } = failures[code]
  const body = bodyOf(code, detail)
  const head = Object.entries({ ...fields, connection: 'close', 'content-length': body.length })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
  socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n`), body]))
  // Closed at once, what the caller still sends would be answered by a reset, and the answer be lost with it.
  const timer = setTimeout(() => socket.destroy(), LINGER).unref()
  socket.once('close', () => clearTimeout(timer))
}

const fields = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' }

function bodyOf(code: RefusalCode, detail: string): Buffer {
  const { status, title, remedy } = failures[code]
  const type = `urn:veeam-auth-proxy:problem:${code.toLowerCase().replaceAll('_', '-')}`
  const problem: Problem = { type, title, status, detail, code, source: 'proxy', remedy }
  return Buffer.from(JSON.stringify(problem))
}
