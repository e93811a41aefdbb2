import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contestants } from './contestants/index.ts'
import { loadTitle } from './load.ts'
import { cores, machine } from './machine.ts'
import type { Row } from './metrics.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { busyMicros, cpuMicros } from './proc.ts'
import { Processes } from './processes.ts'
import { profile } from './profile.ts'
import { markdownOf, type Results, textOf } from './report.ts'
import { measure, messageOf } from './round.ts'
import { CONNECTIONS, full, quick, type Site } from './site.ts'
import { isBad, judge } from './targets.ts'
import { startUpstream } from './upstream.ts'

/** Every round measures every contestant once, A B C A B C, so that drift of the machine hits all alike. */
async function run(options: Options, site: Site): Promise<Row[]> {
  const taking = contestants.filter(({ name }) => options.only.length === 0 || options.only.includes(name))
  const rows: Row[] = []
  for (const { name, available } of taking) {
    const missing = await available(site)
    rows.push({ name, samples: [], failures: [], ...(missing === undefined ? {} : { missing }) })
  }
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const contestant of taking) {
      const row = rows.find(({ name }) => name === contestant.name)
      if (row === undefined || row.missing !== undefined) continue
      process.stderr.write(`round ${round} of ${options.rounds}: ${row.name}\n`)
      const { sample, failures } = await measure(contestant, site)
      row.samples.push(sample)
      row.failures.push(...failures)
    }
  }
  return rows
}

async function bench(options: Options): Promise<number> {
  if (loadTitle === undefined) throw new Error('neither wrk nor the npm package autocannon is installed')
  const known = contestants.map(({ name }) => name)
  const strange = options.only.find(name => !known.includes(name))
  if (strange !== undefined) throw new Error(`there is no contestant ${strange}; there are:\n  ${known.join('\n  ')}`)
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const processes = new Processes(folder)
  const stop = () => process.exit(130)
  process.once('SIGINT', stop).once('SIGTERM', stop)
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  try {
    const scale = options.quick ? quick : full
    const upstream = await startUpstream(processes, folder, scale.stream)
    const site = { processes, upstream, folder, main: options.main, scale }
    if (options.profile) {
      process.stdout.write(await profile(site, options.json))
      return 0
    }
    return await compare(options, site)
  } finally {
    await processes.stopAll()
  }
}

async function compare(options: Options, site: Site): Promise<number> {
  const others = foreignShare()
  const rows = await run(options, site)
  const judged = judge(rows, options.rounds)
  const setting = settingOf(options, site)
  const results: Results = { machine: machine(), setting, others: others(), rounds: options.rounds, rows, judged }
  process.stdout.write(options.markdown ? markdownOf(results) : textOf(results))
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`)
  return options.check && judged.some(isBad) ? 1 : 0
}

function settingOf({ rounds, quick }: Options, { scale, upstream }: Site): string {
  return [
    `load by ${loadTitle} over ${CONNECTIONS} connections`,
    `upstream ${upstream.title} with TLS`,
    `stream of ${scale.stream / 2 ** 20} MB, each kind of load after a warm-up`,
    `${rounds} round${rounds === 1 ? '' : 's'} of ${scale.saturation / 1000} s${quick ? ' (quick: not to be quoted)' : ''}`,
    'median ± half the range',
  ].join(', ')
}

/** Begins to watch the machine; what it returns tells the share of it that has gone to anything but this benchmark. */
function foreignShare(): () => number {
  const before = { busy: busyMicros(), own: cpuMicros(process.pid), at: performance.now() }
  return () => {
    const foreign = busyMicros() - before.busy - (cpuMicros(process.pid) - before.own)
    return Math.max(0, foreign / ((performance.now() - before.at) * 1000 * cores))
  }
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === undefined) process.stdout.write(USAGE)
  else process.exitCode = await bench(options)
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exitCode = 2
}
