import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { IncomingMessage, type OutgoingHttpHeaders, request, ServerResponse } from 'node:http'
import type { CacheConfiguration } from '../src/config/cache.ts'
import { type Call, call, get, type Reply, valuesOf } from './caller.ts'
import { FakeClock, settled } from './fake-clock.ts'
import { applianceAt, type Context, eventually, type Overrides, startProxy } from './rig.ts'
import { type Seen, startScripted } from './scripted-appliance.ts'

export const MB = 1024 * 1024

/** Ten seconds, 64 MB, all paths, nothing stale. */
export const cacheFor10s: CacheConfiguration = { ttl: 10_000, maxSize: 64 * MB, paths: undefined, staleIfError: 0 }

interface Options {
  cache?: Partial<CacheConfiguration>
  resource?: (seen: Seen, response: ServerResponse) => void
  product?: string
  overrides?: Overrides
  parts?: Parameters<typeof startProxy>[2]
}

/** A proxy with a cache, whose time stands still, before one scripted appliance, and a session there. */
export async function startCached(t: Context, options: Options = {}) {
  const { cache = {}, resource = counted(), product = 'azure', overrides = {}, parts = {} } = options
  const clock = new FakeClock()
  const scripted = await startScripted(t, { resource })
  const appliance = applianceAt(scripted, product, { cache: { ...cacheFor10s, ...cache }, ...overrides })
  const { url, server, lines } = await startProxy(t, [appliance], { clock, ...parts })
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const ask = (fields: OutgoingHttpHeaders = {}, path = '/box/x', more: Partial<Call> = {}) =>
    call(url, { path, fields, ...more })
  return {
    url,
    server,
    lines,
    clock,
    ask,
    /** What reached the appliance. */
    requests: scripted.requests,
    count: () => scripted.requests.length,
  }
}

/** Fields of an answer; a name with more than one value stands on more than one line. */
export type Fields = Readonly<Record<string, string | readonly string[]>>

/** Answers with JSON that tells which request it was, from 1; the fields are of every answer. */
export function counted(fields: Fields = {}, status = 200) {
  let nth = 0
  return (_: Seen, response: ServerResponse): void => {
    nth += 1
    give(response, `{"nth":${nth}}`, fields, status)
  }
}

/** `Cache-Status` without the name of the proxy. */
export function status({ raw }: Pick<Reply, 'raw'>): string {
  return valuesOf(raw, 'cache-status').join(', ').replace('veeam-auth-proxy; ', '')
}

export function age({ raw }: Pick<Reply, 'raw'>): string {
  return valuesOf(raw, 'age').join(', ')
}

/**
 * An appliance that answers when a test says so, behind a cache that keeps nothing unless told. Requests that are sent
 * together have gone as far as they can when they are handed out.
 */
export async function startWaiting(t: Context, options: Omit<Options, 'resource'> = {}) {
  const { cache, overrides } = options
  const answers: ServerResponse[] = []
  let cut = 0
  const box = await startCached(t, {
    ...options,
    cache: { ttl: 0, ...cache },
    overrides: { rewriteLinks: false, ...overrides },
    resource: (_, response) => {
      answers.push(response)
      response.on('close', () => {
        if (!response.writableFinished) cut += 1
      })
    },
  })
  const { responses, together } = arrivals(t, box.url)
  /** A caller whose request has come to the proxy, and who can leave; resolves once the proxy has seen that. */
  const leaver = async (fields: OutgoingHttpHeaders = {}, path = '/box/x') => {
    const { hostname, port } = new URL(box.url)
    const index = responses.length
    const outgoing = request({ hostname, port, path, headers: fields, agent: false }).on('error', () => undefined)
    outgoing.on('response', reply => reply.on('error', () => undefined).resume()).end()
    await eventually('its request is at the proxy', () => responses.length > index)
    await settled()
    return {
      /** The head of its answer has come. */
      heard: () => once(outgoing, 'response'),
      leave: async () => {
        outgoing.destroy()
        await eventually('the proxy has seen it leave', () => responses[index]?.closed === true)
      },
    }
  }
  return {
    ...box,
    answers,
    together,
    leaver,
    /** Requests of the same, sent together. */
    crowd: (count: number, fields: OutgoingHttpHeaders = {}, path = '/box/x', more: Partial<Call> = {}) =>
      together(Array.from({ length: count }, () => box.ask(fields, path, more))),
    /** Waits for so many requests at the appliance. */
    come: (count: number) => eventually(`${count} requests at the appliance`, () => answers.length >= count),
    /** Requests that the proxy has given up at the appliance. */
    cut: () => cut,
    inFlight: () => box.server.appliances.get('box')?.admission.inFlight,
  }
}

/** Sees the requests that come to a server of this process. */
export function arrivals(t: Context, url: string) {
  const port = Number(new URL(url).port)
  const responses: ServerResponse[] = []
  const see = (message: unknown): void => {
    if (!(message instanceof Object && 'request' in message && 'response' in message)) return
    const { request: incoming, response } = message
    if (!(incoming instanceof IncomingMessage && response instanceof ServerResponse)) return
    if (incoming.socket.localPort === port) responses.push(response)
  }
  subscribe('http.server.request.start', see)
  t.after(() => unsubscribe('http.server.request.start', see))
  return {
    /** Of the requests in the order in which they came. */
    responses,
    /** Hands out what requests that were just sent will bring, once they are there and have gone as far as they can. */
    together: async <T>(sent: readonly Promise<T>[]): Promise<readonly Promise<T>[]> => {
      const wanted = responses.length + sent.length
      await eventually(`${sent.length} requests at the proxy`, () => responses.length >= wanted)
      await settled()
      return sent
    },
  }
}

/** Answers with JSON in one piece, unless told otherwise. */
export function give(
  response: ServerResponse | undefined,
  body: string | Buffer = '{}',
  fields: Fields = {},
  code = 200,
) {
  if (response === undefined) throw new Error('no request has come')
  const all = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...fields }
  response.writeHead(
    code,
    Object.entries(all).flatMap(([name, values]) => [values].flat().flatMap(one => [name, one])),
  )
  response.end(body)
}
