import Type, { type Static, type TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { find } from './machine.ts'
import { CONNECTIONS, missingPackage, program, type Site, STEADY_RATE } from './site.ts'
import { SMALL, STREAM, UPLOAD } from './upstream.ts'

const Load = Type.Object({
  requests: Type.Number(),
  seconds: Type.Number(),
  errors: Type.Number(),
  /** Microseconds. */
  p50: Type.Number(),
  p99: Type.Number(),
  p999: Type.Number(),
})
export type Load = Static<typeof Load>

const ClientLoop = Type.Object({ requests: Type.Number(), seconds: Type.Number(), cpu: Type.Number() })
const Transfer = Type.Object({ seconds: Type.Number() })

/** What a run may take beyond its duration, in milliseconds. */
const SLACK = 10_000
/** A contestant slower than this with the stream is not waited for, in milliseconds. */
const TRANSFER_BOUND = 60_000

/** Requests after which nothing is left to be compiled. */
const HOT = 8_000
const MOST_WARM_UPS = 5

const wrk = find('wrk')

/** What makes the load; undefined when nothing that could is installed. */
export const loadTitle =
  wrk !== undefined ? 'wrk' : missingPackage('autocannon') === undefined ? 'autocannon' : undefined

/** As many requests as come through, over a fixed number of connections. */
export async function saturate(site: Site, url: string, duration: number): Promise<Load> {
  return sound(url, await press(site, url, duration))
}

/** Load until the code is hot, however slow the machine is at the moment. */
export async function warmUp(site: Site, url: string): Promise<void> {
  let requests = 0
  for (let i = 0; i < MOST_WARM_UPS && requests < HOT; i += 1) {
    requests += (await press(site, url, site.scale.warmUp)).requests
  }
}

async function press({ processes }: Site, url: string, duration: number): Promise<Load> {
  const words = JSON.stringify({ url, connections: CONNECTIONS, duration })
  const seconds = Math.max(1, Math.round(duration / 1000))
  const sizes = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--timeout', '8s', '-H', 'Accept: application/json']
  const command =
    wrk === undefined
      ? [process.execPath, program('autocannon.mjs'), words]
      : [wrk, ...sizes, '-s', program('wrk.lua'), url]
  return reading(Load, await processes.run('load', command, duration + SLACK))
}

/** Requests at a fixed rate, whether or not earlier ones were answered. */
export async function steady(
  { processes, scale }: Site,
  url: string,
  how: { token?: string; ca?: string } = {},
): Promise<Load> {
  const warmUp = scale.steady / 4
  const words = JSON.stringify({ url, rate: STEADY_RATE, duration: scale.steady, warmUp, ...how })
  const command = [process.execPath, program('steady.mjs'), words]
  return sound(url, reading(Load, await processes.run('load', command, scale.steady + warmUp + SLACK)))
}

/** @returns MB (1,048,576 bytes) per second */
export async function transfer({ processes, scale }: Site, url: string, direction: 'down' | 'up'): Promise<number> {
  const path = direction === 'down' ? STREAM : UPLOAD
  const words = JSON.stringify({ url: url + path, bytes: scale.stream, direction })
  const command = [process.execPath, program('transfer.mjs'), words]
  const { seconds } = reading(Transfer, await processes.run('load', command, TRANSFER_BOUND))
  return scale.stream / 2 ** 20 / seconds
}

/** The TLS client by itself, which tells its own CPU time; it runs where the proxies do. */
export async function clientLoop({ processes, upstream, scale }: Site): Promise<{ cpu: number; rate: number }> {
  const { origin, token, ca } = upstream
  const times = { warmUp: scale.warmUp, duration: scale.saturation }
  const words = JSON.stringify({ origin, path: SMALL, token, ca, connections: CONNECTIONS, ...times })
  const command = [process.execPath, program('tls-client.mjs'), words]
  const printed = await processes.run('proxy', command, scale.warmUp + scale.saturation + SLACK)
  const { requests, seconds, cpu } = reading(ClientLoop, printed)
  return { cpu: cpu / requests, rate: requests / seconds }
}

/** An answer that is an error is cheap to give: numbers with such in them say nothing. */
function sound(url: string, load: Load): Load {
  if (load.requests === 0) throw new Error(`${url}: no answer at all`)
  if (load.errors > 0) throw new Error(`${url}: ${load.errors} of ${load.requests + load.errors} requests failed`)
  return load
}

/** The last line of what was printed. */
function reading<T extends TSchema>(schema: T, printed: string): Static<T> {
  const line: unknown = JSON.parse(printed.trim().split('\n').at(-1) ?? '')
  if (Check(schema, line)) return line
  throw new Error(`not understood: ${printed.slice(-400)}`)
}
