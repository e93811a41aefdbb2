import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Context, sharedCertificate } from './rig.ts'

/** A request as it arrived, its body read. */
export interface Seen {
  method: string
  url: string
  fields: IncomingHttpHeaders
  raw: string[]
  body: Buffer
  /** Of the form that it carries, if any. */
  form: URLSearchParams
  /** performance.now() at its arrival. */
  at: number
}

/** What a token endpoint says. A string body goes out as it is, anything else as JSON. */
export interface Spoken {
  status?: number
  fields?: Record<string, string | string[]>
  body?: unknown
}

export interface Script {
  /** Answers the nth request to the token endpoint, from 1; without it every grant is granted. */
  token?(seen: Seen, nth: number): Spoken | Promise<Spoken>
  resource?(seen: Seen, response: ServerResponse): void
  /** Answers a request that offers another protocol; without it, it is answered as any other. */
  upgrade?(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** An appliance over TLS whose every answer a test writes itself. */
export async function startScripted(t: Context, script: Script) {
  const { cert, key } = await sharedCertificate()
  const tokenRequests: Seen[] = []
  const requests: Seen[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ cert, key }, (request, response) => {
    void answer(request, response).catch(() => response.destroy())
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  const { upgrade } = script
  if (upgrade !== undefined) server.on('upgrade', (request, socket, head) => upgrade(request, socket, head))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise(resolve => server.close(resolve))
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = await read(request)
    const isGrant = seen.method === 'POST' && /\/token$/.test(seen.url)
    if (!isGrant) {
      requests.push(seen)
      if (script.resource !== undefined) return script.resource(seen, response)
      response.end('{}')
      return
    }
    tokenRequests.push(seen)
    const nth = tokenRequests.length
    const { status = 200, fields = {}, body } = (await script.token?.(seen, nth)) ?? granted(nth)
    response.writeHead(status, { 'content-type': 'application/json', ...fields })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `https://127.0.0.1:${port}`, certificate: cert, tokenRequests, requests }
}

/** Tokens that are all different: `access-N-…` and `refresh-N-…`. */
export function granted(nth: number, life = 3600): Spoken {
  return {
    body: { access_token: `access-${nth}-token`, refresh_token: `refresh-${nth}-token`, expires_in: life },
  }
}

/** The grants that arrived, in order. */
export function grantsOf(seen: readonly Seen[]): string[] {
  return seen.map(({ form }) => (form.get('grant_type') ?? '').toLowerCase())
}

async function read(request: IncomingMessage): Promise<Seen> {
  const at = performance.now()
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  const isForm = /form-urlencoded/.test(request.headers['content-type'] ?? '')
  const form = new URLSearchParams(isForm ? body.toString() : '')
  const { method = '', url = '', headers: fields, rawHeaders: raw } = request
  return { method, url, fields, raw, body, form, at }
}
