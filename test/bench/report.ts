import { type Metric, metrics, type Row, type Spread, summary, summaryOf } from './metrics.ts'
import { floor, type Judged, roundOf } from './targets.ts'

export interface Results {
  machine: string
  /** What made the load, what was forwarded to, and how long the rounds were. */
  setting: string
  /** Share of the machine that went to other things meanwhile. */
  others: number
  rounds: number
  rows: readonly Row[]
  judged: readonly Judged[]
}

/** Of the machine, for other things; the kernel's own work, which belongs to no process, is in it. */
const QUIET = 0.15

interface Table {
  title: string
  header: readonly string[]
  rows: readonly (readonly string[])[]
}

const sections: readonly { title: string; columns: readonly Metric[] }[] = [
  { title: 'GET of 1 KB, as many as come through', columns: ['cpu', 'rate', 'p50', 'p99', 'p999'] },
  { title: 'GET of 1 KB, 500 a second', columns: ['steadyP50', 'steadyP99', 'steadyP999'] },
  { title: 'Start and memory', columns: ['start', 'forwarding', 'idle', 'loaded'] },
  { title: 'GET of 64 KB', columns: ['largeCpu', 'largeRate'] },
  { title: 'A stream', columns: ['down', 'downCpu', 'downGrowth', 'up', 'upCpu', 'upGrowth'] },
  { title: 'Many appliances', columns: ['live', 'timers', 'idle'] },
]

export function textOf(results: Results): string {
  const head = [results.machine, results.setting]
  return `${[...head, ...tables(results).map(plain), ...notes(results)].join('\n\n')}\n`
}

/** For README. */
export function markdownOf(results: Results): string {
  const head = `Measured on ${results.machine}; ${results.setting}.`
  return `${[head, ...tables(results).map(markdown), ...notes(results)].join('\n\n')}\n`
}

function tables(results: Results): Table[] {
  return [...sections.map(section => sectionOf(results, section)), targetsOf(results)].filter(
    ({ rows }) => rows.length > 0,
  )
}

function sectionOf(results: Results, { title, columns }: (typeof sections)[number]): Table {
  const named = results.rows.map(row => ({ name: row.name, cells: columns.map(metric => summaryOf(row, metric)) }))
  // A section is made for what its first column measures; memory and start stand in more than one.
  const rows = named
    .filter(({ cells }) => cells[0] !== undefined)
    .map(({ name, cells }) => [name, ...cells.map((cell, i) => printed(cell, digitsOf(columns[i])))])
  const header = ['', ...columns.map(metric => headed(metric))]
  if (title !== sections[0]?.title) return { title, header, rows }
  return { title, header, rows: [...rows, ...floorOf(results, columns.length), ...absent(results, columns.length)] }
}

function floorOf({ rows, rounds }: Results, columns: number): string[][] {
  const values = Array.from({ length: rounds }, (_, i) => floor(roundOf(rows, i))).filter(value => value !== undefined)
  const sum = summary(values)
  if (sum === undefined) return []
  return [['the floor: hello server + undici TLS client', printed(sum, 1), ...blank(columns - 1)]]
}

function absent({ rows }: Results, columns: number): string[][] {
  return rows
    .filter(({ missing }) => missing !== undefined)
    .map(({ name, missing = '' }) => [name, missing, ...blank(columns - 1)])
}

function targetsOf({ judged }: Results): Table {
  const rows = judged.map(({ what, wanted, measured, unit, verdict }) => {
    const digits = unit === '' || unit === 'ms' ? 2 : 1
    return [what, wanted, printed(measured, digits), verdict]
  })
  return { title: 'Targets', header: ['', 'target', 'measured', ''], rows }
}

function notes({ rows, others }: Results): string[] {
  const failed = rows.flatMap(({ name, failures }) => failures.map(failure => `- ${name}: ${failure}`))
  return [
    ...(others > QUIET
      ? [`Other things took ${grouped(others * 100, 0)} % of the machine: these numbers are not to be quoted.`]
      : []),
    ...(failed.length === 0 ? [] : [`Failed:\n${failed.join('\n')}`]),
  ]
}

function headed(metric: Metric): string {
  const { title, unit } = metrics[metric]
  return unit === '' ? title : `${title} (${unit})`
}

function digitsOf(metric: Metric | undefined): number {
  return metric === undefined ? 0 : metrics[metric].digits
}

function printed(cell: Spread | undefined, digits: number): string {
  if (cell === undefined) return '–'
  const median = grouped(cell.median, digits)
  return cell.spread === 0 ? median : `${median} ±${grouped(cell.spread, digits)}`
}

function grouped(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function blank(count: number): string[] {
  return Array.from({ length: count }, () => '')
}

function plain({ title, header, rows }: Table): string {
  const all = [header, ...rows]
  const widths = header.map((head, i) =>
    i === 0 ? widest(all, 0) : Math.max(head.length, widest(rows.filter(isFull), i)),
  )
  const lines = all.map(row =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))),
  )
  return [title, ...lines.map(line => line.join('  ').trimEnd())].join('\n')
}

/** A row that tells only why there is nothing may run over its columns. */
function isFull(row: readonly string[]): boolean {
  return row[2] !== ''
}

function widest(rows: readonly (readonly string[])[], column: number): number {
  return Math.max(0, ...rows.map(row => row[column]?.length ?? 0))
}

function markdown({ title, header, rows }: Table): string {
  const align = header.map((_, i) => (i === 0 ? '---' : '---:'))
  const lines = [header, align, ...rows].map(row => `| ${row.join(' | ')} |`)
  return [`### ${title}`, '', ...lines].join('\n')
}
