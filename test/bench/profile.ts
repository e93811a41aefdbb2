import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import { answered } from './asking.ts'
import { startProduct } from './contestants/product.ts'
import { saturate, warmUp } from './load.ts'
import type { Site } from './site.ts'
import { SMALL } from './upstream.ts'

const CpuProfile = Type.Object({
  nodes: Type.Array(
    Type.Object({
      id: Type.Number(),
      callFrame: Type.Object({ functionName: Type.String(), url: Type.String(), lineNumber: Type.Number() }),
    }),
  ),
  /** Microseconds on the clock of `process.hrtime`. */
  startTime: Type.Number(),
  samples: Type.Array(Type.Number()),
  timeDeltas: Type.Array(Type.Number()),
})
type CpuProfile = Static<typeof CpuProfile>

const SHOWN = 40
const START_BOUND = 20_000

/**
 * Where the product's CPU goes under load: self time by function and by package, hot code only.
 * @param keep the file to write the whole profile to, for a browser's developer tools
 */
export async function profile(site: Site, keep: string | undefined): Promise<string> {
  const directory = join(site.folder, 'profile')
  mkdirSync(directory)
  const node = ['--cpu-prof', `--cpu-prof-dir=${directory}`, '--cpu-prof-interval=250']
  const { pid, url } = await startProduct(site, { name: 'profile', node })
  await answered(url + SMALL, { bound: START_BOUND })
  await warmUp(site, url + SMALL)
  const from = micros()
  const { requests } = await saturate(site, url + SMALL, site.scale.saturation)
  const to = micros()
  await site.processes.stop(pid)
  const file = readdirSync(directory)[0]
  if (file === undefined) throw new Error('the proxy left no profile behind')
  const text = readFileSync(join(directory, file), 'utf8')
  if (keep !== undefined) writeFileSync(keep, text)
  const written: unknown = JSON.parse(text)
  if (!Check(CpuProfile, written)) throw new Error('the profile is not understood')
  return described(selfTimes(written, from, to), requests)
}

function micros(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** Microseconds by function, within a span of time; waiting is left out. */
function selfTimes(
  { nodes, startTime, samples, timeDeltas }: CpuProfile,
  from: number,
  to: number,
): Map<string, number> {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const times = new Map<string, number>()
  let at = startTime
  for (const [i, sample] of samples.entries()) {
    at += timeDeltas[i] ?? 0
    const name = names.get(sample) ?? ''
    // A sample stands for the time until the next one.
    if (at >= from && at < to && name !== '(idle)') times.set(name, (times.get(name) ?? 0) + (timeDeltas[i + 1] ?? 0))
  }
  return times
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName
  const file = url.replace(/^.*\/node_modules\//, '').replace(/^.*\/dist\//, 'ours/')
  return `${functionName.replaceAll(' ', '.') || '(anonymous)'} ${file}:${lineNumber + 1}`
}

function described(times: Map<string, number>, requests: number): string {
  const packages = new Map<string, number>()
  for (const [name, time] of times) packages.set(packageOf(name), (packages.get(packageOf(name)) ?? 0) + time)
  const head = `${requests} requests; µs per request, of its own and without what it calls, and the share of all`
  return [head, listed(packages, requests), listed(times, requests), ''].join('\n\n')
}

function packageOf(name: string): string {
  const file = /^\S+ (.*):\d+$/.exec(name)?.[1]
  if (file === undefined) return name.startsWith('(') ? name : 'native'
  if (file.startsWith('node:')) return file
  return /^(@[^/]+\/[^/]+|[^/]+)/.exec(file)?.[1] ?? file
}

function listed(times: Map<string, number>, requests: number): string {
  const all = [...times.values()].reduce((sum, time) => sum + time, 0)
  const most = [...times].toSorted(([, a], [, b]) => b - a).slice(0, SHOWN)
  return most
    .map(([name, time]) => {
      const share = `${((time / all) * 100).toFixed(1)} %`
      return `${(time / requests).toFixed(2).padStart(8)} ${share.padStart(7)}  ${name}`
    })
    .join('\n')
}
