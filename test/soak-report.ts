import type { Counts } from '../src/simulator/index.ts'
import type { Ledger } from './soak-ledger.ts'

export interface Found {
  ledger: Ledger
  /** One for each appliance. */
  counts: readonly Counts[]
  /** Bytes. */
  memoryAtStart: number | undefined
  memoryAtEnd: number | undefined
  exitCode: number | string
}

export function reportOf({ ledger, counts, memoryAtStart, memoryAtEnd, exitCode }: Found): string {
  const { requests, faults, explained, unexplained, recoveries } = ledger
  const errors = [...explained.values()].map(total)
  const lines: [string, string][] = [
    ['requests', `${total(requests)}: ${listed(requests)}`],
    ['faults', String(total(faults))],
    ...[...faults].sort().map(([kind, times]): [string, string] => {
      const seen = explained.get(kind)
      const broke = seen === undefined ? 'no request failed' : `${listed(seen)}`
      return [
        `  ${kind}`,
        `${times} times, well again after ${Math.round(recoveries.get(kind) ?? 0)} ms at most; ${broke}`,
      ]
    }),
    ['errors in a fault', String(errors.reduce((sum, count) => sum + count, 0))],
    ['errors without one', String(unexplained.length)],
    ['sign-ins', `${sum(counts, 'signIns')}, refused ${sum(counts, 'refusedSignIns')}`],
    ['refreshes', `${sum(counts, 'refreshes')}, refused ${sum(counts, 'refusedRefreshes')}`],
    ['sign-outs', String(sum(counts, 'signOuts'))],
    ['effects', `${sum(counts, 'effects')}, duplicate ${sum(counts, 'duplicateEffects')}`],
    ['memory', `${megabytes(memoryAtStart)} at start, ${megabytes(memoryAtEnd)} at end`],
    ['exit code', String(exitCode)],
  ]
  return lines.map(([name, text]) => `${name.padEnd(38)}${text}`).join('\n')
}

/** What must not be, whatever the faults were. */
export function mistakesOf({ ledger, counts, exitCode }: Found): string[] {
  const never: [boolean, string][] = [
    [total(ledger.requests) === 0, 'no request was made'],
    [total(ledger.faults) === 0, 'nothing went wrong'],
    [sum(counts, 'duplicateEffects') > 0, `${sum(counts, 'duplicateEffects')} effects were doubled`],
    [sum(counts, 'refusedSignIns') > 0, `${sum(counts, 'refusedSignIns')} passwords were refused`],
    [sum(counts, 'signOuts') < counts.length, 'a session was left behind at its appliance'],
    [exitCode !== 0, `the proxy ended with ${exitCode}`],
  ]
  return [...ledger.unexplained, ...never.flatMap(([is, mistake]) => (is ? [mistake] : []))]
}

function sum(counts: readonly Counts[], name: keyof Counts): number {
  return counts.reduce((all, each) => all + each[name], 0)
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, each) => all + each, 0)
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, times]) => `${name} ${times}`).join(', ')
}

function megabytes(bytes: number | undefined): string {
  return bytes === undefined ? 'unknown' : `${Math.round(bytes / 1_048_576)} MB`
}
