import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Contestant } from './contestants/contestant.ts'
import { contestants } from './contestants/index.ts'
import { loadTitle } from './load.ts'
import { machine } from './machine.ts'
import type { Row } from './metrics.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { Processes } from './processes.ts'
import { markdownOf, type Results, textOf } from './report.ts'
import { measure } from './round.ts'
import { CONNECTIONS, full, quick, type Site } from './site.ts'
import { judge } from './targets.ts'
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
      await record(contestant, site, row)
    }
  }
  return rows
}

async function record(contestant: Contestant, site: Site, row: Row): Promise<void> {
  try {
    row.samples.push(await measure(contestant, site))
  } catch (error) {
    row.samples.push(undefined)
    row.failures.push(error instanceof Error ? error.message : String(error))
  }
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
    const rows = await run(options, { processes, upstream, folder, main: options.main, scale })
    const stream = `stream of ${scale.stream / 2 ** 20} MB`
    const pace = `${options.rounds} round${options.rounds === 1 ? '' : 's'} of ${scale.saturation / 1000} s${options.quick ? ' (quick: not to be quoted)' : ''}`
    const setting = `load by ${loadTitle} over ${CONNECTIONS} connections, upstream ${upstream.title} with TLS, ${stream}, ${pace}; median ± half the range`
    const judged = judge(rows, options.rounds)
    const results: Results = { machine: machine(), setting, rounds: options.rounds, rows, judged }
    process.stdout.write(options.markdown ? markdownOf(results) : textOf(results))
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`)
    return options.check && judged.some(({ verdict }) => verdict === 'missed') ? 1 : 0
  } finally {
    await processes.stopAll()
  }
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === undefined) process.stdout.write(USAGE)
  else process.exitCode = await bench(options)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
