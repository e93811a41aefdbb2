import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Exchange, send } from './answer.ts'
import type { Counts } from './counts.ts'
import { sendDownload } from './download.ts'

/** Resources no real appliance has, for tests to see what passes through. They stand below the profile's `root`. */
export interface Transfer {
  /** `rest` is the path below the root. False: no such resource. */
  handle(exchange: Exchange, rest: string): Promise<boolean>
  /** Records the effect of a request to `/effects`, if it is one. */
  takeEffect(exchange: Exchange, rest: string): number
}

export function createTransfer(counts: Counts, origin: string): Transfer {
  const effects = new Map<string, number>()

  const takeEffect = ({ request, query }: Exchange, rest: string): number => {
    const id = query.get('id')
    if (rest !== '/effects' || request.method !== 'POST' || id === null) return 0
    const times = (effects.get(id) ?? 0) + 1
    effects.set(id, times)
    counts.effects += 1
    if (times > 1) counts.duplicateEffects += 1
    return times
  }

  const handle = async (exchange: Exchange, rest: string): Promise<boolean> => {
    const { request, response, query } = exchange
    const method = request.method ?? ''
    const [, name = '', argument = ''] = rest.split('/')
    if (rest === '/downloads/large' && (method === 'GET' || method === 'HEAD' || method === 'POST')) {
      await sendDownload(exchange)
      return true
    }
    if (rest === '/uploads' && (method === 'POST' || method === 'PUT')) {
      const arrived = await digest(request)
      counts.uploads += 1
      send(response, { status: 200, body: arrived })
      return true
    }
    if (name === 'echo') {
      const { sha256, bytes } = await digest(request)
      const { url, httpVersion, rawHeaders } = request
      send(response, {
        status: 200,
        body: { method, url, httpVersion, rawHeaders, bodySha256: sha256, bodyLength: bytes },
      })
      return true
    }
    if (rest === '/effects' && method === 'POST') {
      await digest(request)
      const times = takeEffect(exchange, rest)
      send(
        response,
        times === 0 ? { status: 400, body: { message: 'id is missing' } } : { status: 201, body: { times } },
      )
      return true
    }
    if (name === 'status' && /^[2-5]\d\d$/.test(argument)) {
      const status = Number(argument)
      const bodiless = status === 204 || status === 304
      const retryAfter = query.get('retryAfter')
      send(response, {
        status,
        ...(retryAfter === null ? {} : { fields: { 'retry-after': retryAfter } }),
        ...(bodiless ? {} : { body: { status } }),
      })
      return true
    }
    if (rest === '/redirect') {
      send(response, { status: 302, fields: { location: `${origin}${query.get('to') ?? '/'}` } })
      return true
    }
    if (rest === '/slow') {
      const milliseconds = Number(query.get('ms') ?? '1000')
      await sleepUnlessClosed(exchange, milliseconds)
      send(response, { status: 200, body: { milliseconds } })
      return true
    }
    return false
  }
  return { handle, takeEffect }
}

async function digest(request: IncomingMessage): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of request) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { sha256: hash.digest('hex'), bytes }
}

async function sleepUnlessClosed({ response }: Exchange, milliseconds: number): Promise<void> {
  const closed = new AbortController()
  response.once('close', () => closed.abort())
  await sleep(milliseconds, undefined, { signal: closed.signal }).catch(() => undefined)
}
