import { once } from 'node:events'
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { connect, type Server as NetServer, type Socket } from 'node:net'
import { type PeerCertificate, connect as tlsConnect } from 'node:tls'
import type { Listen } from '../src/listen/address.ts'
import { Listener, type ListenerOptions, type RequestHandler } from '../src/listen/listener.ts'
import { type Context, sharedCertificate } from './rig.ts'

/** Answers with what it was asked: method, path, tag and body. */
export const echo: RequestHandler = (incoming, response, tag) => {
  const chunks: Buffer[] = []
  incoming.on('data', chunk => chunks.push(chunk))
  incoming.on('error', () => {})
  incoming.on('end', () => {
    const { method, url, headers } = incoming
    response.end(JSON.stringify({ method, url, tag, headers, body: Buffer.concat(chunks).toString() }))
  })
}

/** A listener on a free port of the loopback, closed with the test. */
export async function listen(
  t: Context,
  {
    handle = echo,
    tls,
    address = { host: '127.0.0.1', port: 0 },
    ...options
  }: ListenerOptions & Partial<Listen> & { handle?: RequestHandler } = {},
): Promise<Listener> {
  const listener = await Listener.open(tls === undefined ? { address } : { address, tls }, handle, options)
  t.after(() => listener.close(0))
  return listener
}

/** With the certificate that the tests of one file share. */
export async function listenSecurely(t: Context, options: Parameters<typeof listen>[1] = {}) {
  const { cert, key } = await sharedCertificate()
  return { listener: await listen(t, { tls: { cert, key }, ...options }), ca: cert }
}

export interface Answer {
  status: number
  fields: IncomingMessage['headers']
  body: string
  json: Record<string, unknown>
}

/** What answers at a URL, or over a Unix socket when `socketPath` is given. */
export function ask(
  url: string,
  options: {
    socketPath?: string
    ca?: string
    cert?: string
    key?: string
    path?: string
    method?: string
    headers?: OutgoingHttpHeaders
    body?: string
    servername?: string
  } = {},
): Promise<Answer> {
  const { body, path = '/', ...rest } = options
  const send = url.startsWith('https:') ? secureRequest : request
  return new Promise((resolve, reject) => {
    const outgoing = send(new URL(path, url), { ...rest, agent: false }, incoming => {
      const chunks: Buffer[] = []
      incoming.on('data', chunk => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: incoming.statusCode ?? 0, fields: incoming.headers, body: text, json: parsed(text) })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

/** A connection on which a test writes what it likes; `ended` brings everything that came back. */
export function raw(t: Context, url: string): { socket: Socket; text: () => string; ended: Promise<string> } {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  t.after(() => socket.destroy())
  let text = ''
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  const ended = once(socket, 'close').then(() => text)
  return { socket, text: () => text, ended }
}

/** The certificate that is shown at a URL. */
export async function certificateAt(url: string): Promise<PeerCertificate> {
  const { hostname: host, port } = new URL(url)
  const socket = tlsConnect({ host, port: Number(port), rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const certificate = socket.getPeerCertificate()
  socket.destroy()
  return certificate
}

/** The descriptor of a listening socket, which Node.js keeps to itself. */
export function fdOf(server: NetServer): number {
  const handle: unknown = Reflect.get(server, '_handle')
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) throw new Error('it does not listen')
  return Number(handle.fd)
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
