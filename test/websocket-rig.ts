import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import type { ApplianceConfiguration } from '../src/config/configuration.ts'
import { get, jsonOf } from './caller.ts'
import { applianceAt, type Context, defaultOptions, eventually, startProxy } from './rig.ts'
import { type Script, startScripted } from './scripted-appliance.ts'

/** A request that hangs fails its test instead of stopping the file; in milliseconds. */
const LONGEST_SILENCE = 20_000

interface Parts {
  product?: string
  overrides?: Partial<Omit<ApplianceConfiguration, 'product'>>
  proxy?: Parameters<typeof startProxy>[2]
  /** Answers the nth request for WebSocket itself, from 1. @returns whether it did */
  refuse?: (request: IncomingMessage, socket: Parameters<NonNullable<Script['upgrade']>>[1], nth: number) => boolean
  script?: Script
  onConnection?: (socket: WebSocket) => void
}

/** An appliance that sends every message back, and a proxy before it that has signed in. */
export async function startSockets(t: Context, parts: Parts = {}) {
  const { product = 'azure', overrides = {}, proxy = {}, refuse, script = {} } = parts
  const echo = (socket: WebSocket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: names => [...names][0] ?? false,
    perMessageDeflate: true,
  })
  const requests: IncomingMessage[] = []
  const sockets: WebSocket[] = []
  const scripted = await startScripted(t, {
    ...script,
    upgrade(request, socket, head) {
      const nth = requests.push(request)
      if (refuse?.(request, socket, nth)) return
      server.handleUpgrade(request, socket, head, accepted => {
        sockets.push(accepted)
        accepted.on('error', () => undefined)
        ;(parts.onConnection ?? echo)(accepted)
      })
    },
  })
  const { url, ...started } = await startProxy(
    t,
    [applianceAt(scripted, product, { options: defaultOptions(product), ...overrides })],
    proxy,
  )
  await eventually('signed in', async () => (await get(url, '/-/readyz')).status === 200)
  return { ...scripted, ...started, url, sockets, socketRequests: requests }
}

/** What a request for WebSocket was answered with instead. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly fields: IncomingMessage['headers']
  readonly body: string

  constructor({ statusCode = 0, headers }: IncomingMessage, body: string) {
    super(`refused with ${statusCode}: ${body}`)
    this.status = statusCode
    this.fields = headers
    this.body = body
  }

  get code(): unknown {
    return jsonOf(this.body).get('code')
  }
}

/** A caller's WebSocket, open; rejects with a `Refusal` when the answer is another. */
export async function openSocket(
  t: Context,
  url: string,
  options: ClientOptions & { protocols?: string[]; servername?: string } = {},
) {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), options.protocols ?? [], options)
  t.after(() => socket.terminate())
  const messages: { data: Buffer; isBinary: boolean }[] = []
  socket.on('message', (data, isBinary) => {
    if (Buffer.isBuffer(data)) messages.push({ data, isBinary })
  })
  await new Promise<void>((resolve, reject) => {
    const silence = setTimeout(() => reject(new Error('the proxy has fallen silent')), LONGEST_SILENCE)
    t.after(() => clearTimeout(silence))
    socket.once('open', resolve)
    socket.on('error', reject)
    socket.once('unexpected-response', (_, answer) => {
      text(answer).then(body => reject(new Refusal(answer, body)), reject)
    })
  })
  return Object.assign(socket, { messages })
}

export async function refusalOf(t: Context, url: string, options: ClientOptions = {}): Promise<Refusal> {
  const refused = await openSocket(t, url, options).catch((error: unknown) => error)
  if (refused instanceof Refusal) return refused
  throw new Error(`it was not refused: ${String(refused)}`)
}
