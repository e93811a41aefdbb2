import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { simulatorRoot } from '../src/simulator/index.ts'
import { get, statusOf } from './caller.ts'
import { chance } from './fake-clock.ts'
import { eventually } from './rig.ts'
import { buildProduct } from './soak-build.ts'
import { type Fault, faults } from './soak-faults.ts'
import { killRepeatedly } from './soak-kills.ts'
import { Ledger } from './soak-ledger.ts'
import { callers } from './soak-load.ts'
import { mistakesOf, reportOf } from './soak-report.ts'
import { type Site, startSite, type Target } from './soak-site.ts'

const USAGE = `npm run soak -- [options]

  --minutes N   how long under load and faults (2)
  --seed S      of the faults' order (random); which requests are under way then is chance in any case
  --callers N   of each of the three appliances (4)
  --kills K     also kill -9 the proxy so often while it renews, and start it anew (0)
`

/** How long after a fault all must be well again, in milliseconds. */
const RECOVERY = 45_000
/** How long after that a request may still meet what the fault left behind. */
const SETTLE = 300
/** How long letting go of everything may take, in milliseconds; then the run has failed, whatever else it found. */
const LONGEST_END = 60_000
/** A machine that stands still so long, in milliseconds, lets tokens expire under way. */
const STANDSTILL = 250

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    callers: { type: 'string', default: '4' },
    kills: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) process.stdout.write(USAGE)
else await main({ minutes: Number(values.minutes), seed: Number(values.seed), kills: Number(values.kills) })

async function main({ minutes, seed, kills }: { minutes: number; seed: number; kills: number }): Promise<void> {
  const endings: (() => unknown)[] = []
  const t = { after: (ending: () => unknown) => void endings.push(ending) }
  const mistakes: string[] = []
  print(`soak: ${minutes} minutes, seed ${seed}, ${kills} kills`)
  try {
    const built = await buildProduct(t)
    if (minutes > 0) mistakes.push(...(await underLoad(await startSite(t, built), { minutes, seed })))
    if (kills > 0) {
      const { withoutPassword, withPassword, slowest } = await killRepeatedly(t, built, kills, seed)
      print(
        `kills                 ${withoutPassword + withPassword}: ${withoutPassword} starts without a password grant,`,
      )
      print(
        `                      ${withPassword} with exactly one, ${Math.round(slowest)} ms to the first 200 at most`,
      )
    }
  } catch (error) {
    mistakes.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
  const watchdog = setTimeout(() => process.exit(1), LONGEST_END)
  for (const ending of endings.reverse()) await ending()
  clearTimeout(watchdog)
  for (const mistake of mistakes.slice(0, 50)) print(`FAILED: ${mistake}`)
  print(mistakes.length === 0 ? 'passed' : `failed: ${mistakes.length} mistakes, seed ${seed}`)
  process.exitCode = mistakes.length === 0 ? 0 : 1
}

/** @returns what is wrong */
async function underLoad(site: Site, { minutes, seed }: { minutes: number; seed: number }): Promise<string[]> {
  const { targets, proxy } = site
  const ledger = new Ledger()
  const stopping = new AbortController()
  const { signal: stop } = stopping
  await eventually('ready', async () => (await get(proxy.url, '/-/readyz')).status === 200)
  const parts = { url: proxy.url, ledger, stop }
  const load = targets.map(({ name }) => callers(Number(values.callers), { ...parts, appliance: name }))
  const watching = watchMachine(proxy.url, ledger, stop)
  await sleep(5000)
  const memoryAtStart = proxy.memory()
  const end = performance.now() + minutes * 60_000
  const striking = targets.map((target, i) => strikeUntil(end, { target, site, ledger, random: chance(seed + i) }))
  const struck = await Promise.allSettled(striking)
  stopping.abort()
  await Promise.all([...load, watching])
  const memoryAtEnd = proxy.memory()
  proxy.kill('SIGTERM')
  const exitCode = await proxy.ended
  const counts = targets.map(({ simulator }) => simulator.counts)
  const found = { ledger, counts, memoryAtStart, memoryAtEnd, exitCode }
  print(reportOf(found))
  const stuck = struck.flatMap(result => (result.status === 'rejected' ? [String(result.reason)] : []))
  return [...stuck, ...mistakesOf(found)]
}

interface Striking {
  target: Target
  site: Site
  ledger: Ledger
  random: () => number
}

/** One fault after the other at one appliance, each kind once before any comes again. */
async function strikeUntil(end: number, striking: Striking): Promise<void> {
  let bag: Fault[] = []
  while (performance.now() < end) {
    if (bag.length === 0) bag = shuffled(faults, striking.random)
    const fault = bag.pop()
    if (fault !== undefined) await strike(fault, striking)
    await sleep(500 + striking.random() * 1500)
  }
}

async function strike({ kind, may, strike: run }: Fault, { target, site, ledger }: Striking): Promise<void> {
  const window = ledger.open(kind, may, target.name)
  await run(target, site)
  const lifted = performance.now()
  await eventually(`${target.name} serves again after: ${kind}`, () => isWell(site.proxy.url, target.name), RECOVERY)
  const recovery = performance.now() - lifted
  await sleep(SETTLE)
  ledger.close(window, recovery)
}

/** Live, and with no failed renewal behind it: that one's next attempt could come too late. */
async function isWell(url: string, name: Target['name']): Promise<boolean> {
  const status = await statusOf(url, name)
  if (status.get('state') !== 'live' || status.get('lastError') !== null) return sleep(50, false)
  return (await get(url, `/${name}${simulatorRoot[name]}/status/200`)).status === 200
}

/** A machine that is short of time is a fault, too: it is not the proxy's. */
async function watchMachine(url: string, ledger: Ledger, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const from = performance.now()
    await sleep(50)
    await get(url, '/-/livez')
    if (performance.now() - from < STANDSTILL) continue
    const window = ledger.open('machine stood still', /^(401|503 (NOT_SIGNED_IN|OVERLOADED))$/, undefined, from)
    void sleep(1000).then(() => ledger.close(window, 0))
  }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items]
  return items.flatMap(() => left.splice(Math.floor(random() * left.length), 1))
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
