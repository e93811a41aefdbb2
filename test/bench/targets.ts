import type { Contestant } from './contestants/contestant.ts'
import {
  cached,
  direct,
  fastifyHttpProxy,
  fleet,
  go,
  hello,
  nginx,
  tlsClient,
  veeamAuthProxy,
  withoutDefaults,
} from './contestants/index.ts'
import { type Metric, type Row, type Sample, type Spread, summary } from './metrics.ts'

/** What one round has told of a contestant, undefined when there is nothing. */
type Round = (contestant: Contestant) => Sample | undefined

interface Target {
  what: string
  bound: 'at most' | 'at least'
  limit: number
  unit: string
  /** The number to hold against the limit, of one round, so that drift of the machine hits both sides of a ratio. */
  of(round: Round): number | undefined
}

const targets: readonly Target[] = [
  {
    what: 'CPU per forwarded 1 KB GET, of the floor',
    ...atMost(1.5),
    of: round => ratio(round(veeamAuthProxy)?.cpu, floor(round)),
  },
  { what: 'CPU per forwarded 1 KB GET, of the Go reverse proxy', ...atMost(1), of: times('cpu', veeamAuthProxy, go) },
  {
    what: 'throughput, of a bare @fastify/http-proxy',
    ...atLeast(1.8),
    of: times('rate', veeamAuthProxy, fastifyHttpProxy),
  },
  { what: 'p50 added at 500 req/s', ...atMost(0.4, 'ms'), of: added('steadyP50') },
  { what: 'p99 added at 500 req/s', ...atMost(1.5, 'ms'), of: added('steadyP99') },
  { what: 'stream down, of nginx', ...atLeast(0.8), of: times('down', veeamAuthProxy, nginx) },
  { what: 'stream up, of nginx', ...atLeast(0.8), of: times('up', veeamAuthProxy, nginx) },
  { what: 'memory above idle, stream down', ...atMost(30, 'MB'), of: round => round(veeamAuthProxy)?.downGrowth },
  { what: 'memory above idle, stream up', ...atMost(30, 'MB'), of: round => round(veeamAuthProxy)?.upGrowth },
  { what: 'CPU per GET from the cache, of the hello server', ...atMost(1.5), of: times('cpu', cached, hello) },
  { what: 'CPU per GET from the cache, of nginx forwarding it', ...atMost(1), of: times('cpu', cached, nginx) },
  {
    what: 'guard, policy, metrics and log, of the CPU of forwarding',
    ...atMost(0.15),
    of: round => share(round(veeamAuthProxy)?.cpu, round(withoutDefaults)?.cpu),
  },
  { what: 'memory, idle, three appliances', ...atMost(80, 'MB'), of: round => round(veeamAuthProxy)?.idle },
  { what: 'exec to first own answer', ...atMost(350, 'ms'), of: round => round(veeamAuthProxy)?.start },
  { what: '1,000 appliances: exec to all live', ...atMost(15, 's'), of: round => round(fleet)?.live },
  { what: '1,000 appliances: timers for each', ...atMost(1.05), of: round => round(fleet)?.timers },
  { what: '1,000 appliances: memory', ...atMost(250, 'MB'), of: round => round(fleet)?.idle },
]

function atMost(limit: number, unit = ''): Pick<Target, 'bound' | 'limit' | 'unit'> {
  return { bound: 'at most', limit, unit }
}

function atLeast(limit: number, unit = ''): Pick<Target, 'bound' | 'limit' | 'unit'> {
  return { bound: 'at least', limit, unit }
}

/** What nothing in Node.js can beat: to answer, and to ask. */
export function floor(round: Round): number | undefined {
  const server = round(hello)?.cpu
  const client = round(tlsClient)?.cpu
  return server === undefined || client === undefined ? undefined : server + client
}

function times(metric: Metric, one: Contestant, other: Contestant): Target['of'] {
  return round => ratio(round(one)?.[metric], round(other)?.[metric])
}

function added(metric: Metric): Target['of'] {
  return round => {
    const through = round(veeamAuthProxy)?.[metric]
    const without = round(direct)?.[metric]
    return through === undefined || without === undefined ? undefined : through - without
  }
}

function ratio(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one / other
}

/** The part of the whole that is gone once the rest is left. */
function share(whole: number | undefined, rest: number | undefined): number | undefined {
  return whole === undefined || rest === undefined ? undefined : (whole - rest) / whole
}

/** Failed: all that it takes took part, and not every round has told it. */
export type Verdict = 'met' | 'missed within the spread' | 'missed' | 'failed' | 'not measured'

export interface Judged {
  what: string
  wanted: string
  unit: string
  measured: Spread | undefined
  verdict: Verdict
}

/** Holds what was measured against every target. */
export function judge(rows: readonly Row[], rounds: number): Judged[] {
  return targets.map(({ what, bound, limit, unit, of }) => {
    let isAbsent = false
    const numbers = Array.from({ length: rounds }, (_, i) => {
      const round = roundOf(rows, i)
      return of(contestant => {
        isAbsent ||= !rows.some(({ name, missing }) => name === contestant.name && missing === undefined)
        return round(contestant)
      })
    })
    const told = numbers.filter(value => value !== undefined)
    const measured = summary(told)
    const wanted = `${bound} ${limit}${unit === '' ? '' : ` ${unit}`}`
    const hasFailed = told.length < rounds && !isAbsent
    const verdict = hasFailed ? 'failed' : verdictOn(measured, bound === 'at most' ? limit : -limit, bound)
    return { what, wanted, unit, measured, verdict }
  })
}

/** What `--check` does not let pass: a number that cannot be told is none that was reached. */
export function isBad({ verdict }: Judged): boolean {
  return verdict === 'missed' || verdict === 'failed'
}

export function roundOf(rows: readonly Row[], index: number): Round {
  return ({ name }) => rows.find(row => row.name === name)?.samples[index]
}

/** @param limit negative for a lower bound, so that less is better either way */
function verdictOn(measured: Spread | undefined, limit: number, bound: Target['bound']): Verdict {
  if (measured === undefined) return 'not measured'
  const value = bound === 'at most' ? measured.median : -measured.median
  if (value <= limit) return 'met'
  return value - measured.spread <= limit ? 'missed within the spread' : 'missed'
}
