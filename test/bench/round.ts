import { readFileSync, rmSync } from 'node:fs'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { answered } from './asking.ts'
import type { Contestant, Running } from './contestants/contestant.ts'
import { timersFile } from './contestants/fleet.ts'
import { clientLoop, saturate, steady, transfer, warmUp } from './load.ts'
import type { Sample } from './metrics.ts'
import { cpuMicros, residentMegabytes, withPeak } from './proc.ts'
import { APPLIANCES, type Site } from './site.ts'
import { LARGE, SMALL } from './upstream.ts'

/** How long a contestant may take to begin, in milliseconds. */
const START_BOUND = 20_000
/** How long the fleet may take until all are live: far beyond its target, so that a miss shows by how much. */
const LIVE_BOUND = 90_000
/** Until what a start has stirred up has settled, in milliseconds. */
const SETTLE = 1_000

/** Measures one contestant once. A part that fails leaves the others. Whatever it starts has ended afterwards. */
export async function measure(contestant: Contestant, site: Site): Promise<{ sample: Sample; failures: string[] }> {
  const failures: string[] = []
  const { upstream } = site
  let running: Running | undefined
  const attempt: Attempt = part =>
    part().catch(error => {
      failures.push(explained(error, site, running))
      return {}
    })
  const run = async (): Promise<Sample> => {
    if (contestant.kind === 'client') return clientLoop(site)
    if (contestant.kind === 'direct') return steadily(site, upstream.origin, { token: upstream.token, ca: upstream.ca })
    running = await contestant.start(site)
    if (contestant.kind === 'fleet') return measureFleet(running, site)
    return measureServer(contestant, { running, site, attempt })
  }
  const stop = async () => {
    for (const pid of running === undefined ? [] : [running.pid, ...(running.beside ?? [])])
      await site.processes.stop(pid)
  }
  const sample = await attempt(run)
  await stop()
  if (contestant.kind !== 'proxy') return { sample, failures }
  // In a process of their own: what one kind of load leaves behind shows in no other.
  const streams = await attempt(async () => {
    running = await contestant.start(site)
    return measureStreams(running, site, attempt)
  })
  await stop()
  return { sample: { ...sample, ...streams }, failures }
}

/** Runs a part of the measuring; when it fails it has told nothing, and why is kept. */
type Attempt = (part: () => Promise<Sample>) => Promise<Sample>

function explained(error: unknown, { processes }: Site, running: Running | undefined): string {
  if (running === undefined || processes.isRunning(running.pid)) return messageOf(error)
  return `${messageOf(error)}; it printed: ${processes.lastWords(running.pid)}`
}

async function measureServer(
  { kind, ownPath }: Contestant,
  { running, site, attempt }: { running: Running; site: Site; attempt: Attempt },
): Promise<Sample> {
  const { pid, url, since } = running
  const asking = { bound: START_BOUND, hopeless: () => ended(site, pid) }
  const own = ownPath === undefined ? undefined : await answered(new URL(url).origin + ownPath, asking)
  const first = await answered(url + SMALL, asking)
  if (first.body !== site.upstream.small) throw new Error(`${url}${SMALL} is not what the upstream answers`)
  await pause(SETTLE)
  const idle = residentMegabytes(pid)
  const begun: Sample = { start: (own ?? first).at - since, idle }
  if (kind !== 'proxy') return { ...begun, ...(await attempt(() => saturated(running, site))) }
  const load = await attempt(() => saturated(running, site))
  const large = await attempt(() => largely(running, site))
  const still = await attempt(() => steadily(site, url))
  return { ...begun, forwarding: first.at - since, ...load, ...large, ...still }
}

async function measureStreams(running: Running, site: Site, attempt: Attempt): Promise<Sample> {
  const { pid, url } = running
  await answered(url + SMALL, { bound: START_BOUND, hopeless: () => ended(site, pid) })
  await pause(SETTLE)
  // One for both: what the way down leaves behind would make the way up look small.
  const idle = residentMegabytes(pid)
  const down = await attempt(() => streamed(running, { site, idle, direction: 'down' }))
  const up = await attempt(() => streamed(running, { site, idle, direction: 'up' }))
  return { ...down, ...up }
}

async function saturated({ pid, url }: Running, site: Site): Promise<Sample> {
  await warmUp(site, url + SMALL)
  const before = cpuMicros(pid)
  const { value, peak } = await withPeak(pid, () => saturate(site, url + SMALL, site.scale.saturation))
  const { requests, seconds, p50, p99, p999 } = value
  const cpu = (cpuMicros(pid) - before) / requests
  return { cpu, rate: requests / seconds, p50: p50 / 1000, p99: p99 / 1000, p999: p999 / 1000, loaded: peak }
}

async function largely({ pid, url }: Running, site: Site): Promise<Sample> {
  await warmUp(site, url + LARGE)
  const before = cpuMicros(pid)
  const { requests, seconds } = await saturate(site, url + LARGE, site.scale.large)
  return { largeCpu: (cpuMicros(pid) - before) / requests, largeRate: requests / seconds }
}

async function steadily(site: Site, url: string, how: { token?: string; ca?: string } = {}): Promise<Sample> {
  const { p50, p99, p999 } = await steady(site, url + SMALL, how)
  return { steadyP50: p50 / 1000, steadyP99: p99 / 1000, steadyP999: p999 / 1000 }
}

async function streamed(
  { pid, url }: Running,
  { site, idle, direction }: { site: Site; idle: number; direction: 'down' | 'up' },
): Promise<Sample> {
  let cpu = 0
  const { value, peak } = await withPeak(pid, async () => {
    // Once before, as with requests: the first one is that of code which is not hot.
    await transfer(site, url, direction)
    const before = cpuMicros(pid)
    const rate = await transfer(site, url, direction)
    cpu = ((cpuMicros(pid) - before) / 1e6) * (2 ** 30 / site.scale.stream)
    return rate
  })
  const growth = peak - idle
  if (direction === 'down') return { down: value, downCpu: cpu, downGrowth: growth }
  return { up: value, upCpu: cpu, upGrowth: growth }
}

const Timers = Type.Object({ timers: Type.Number() })

async function measureFleet({ pid, url, since }: Running, site: Site): Promise<Sample> {
  const { origin } = new URL(url)
  const asking = { hopeless: () => ended(site, pid) }
  const own = await answered(`${origin}/-/livez`, { bound: START_BOUND, ...asking })
  const ready = await answered(`${origin}/-/readyz`, { bound: LIVE_BOUND, pause: 50, ...asking })
  await pause(SETTLE)
  const file = timersFile(site.folder)
  rmSync(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  await pause(SETTLE)
  const counted: unknown = JSON.parse(readFileSync(file, 'utf8'))
  if (!Check(Timers, counted)) throw new Error('the timers were not counted')
  const idle = residentMegabytes(pid)
  return { start: own.at - since, live: (ready.at - since) / 1000, timers: counted.timers / APPLIANCES, idle }
}

function ended({ processes }: Site, pid: number): string | undefined {
  return processes.isRunning(pid) ? undefined : 'the process has ended'
}

function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
