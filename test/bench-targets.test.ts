import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cached, hello, nginx, veeamAuthProxy } from './bench/contestants/index.ts'
import type { Row, Sample } from './bench/metrics.ts'
import { textOf } from './bench/report.ts'
import { isBad, judge } from './bench/targets.ts'

const row = ({ name }: { name: string }, ...samples: Sample[]): Row => ({ name, samples, failures: [] })

/** The target on the CPU of an answer from the cache: at most 1.5 of the hello server's. */
function onCache(rows: readonly Row[], rounds: number) {
  const judged = judge(rows, rounds).find(({ what }) => what === 'CPU per GET from the cache, of the hello server')
  assert.ok(judged)
  return judged
}

test('the benchmark checks a ratio within each round, and fails when it is missed by more than the spread', () => {
  const of = (...pairs: [number, number][]) =>
    onCache(
      [row(cached, ...pairs.map(([cpu]) => ({ cpu }))), row(hello, ...pairs.map(([, cpu]) => ({ cpu })))],
      pairs.length,
    )
  // Both sides twice as slow in the second round: the ratio is what it was.
  assert.deepEqual(of([14, 10], [28, 20]).measured, { median: 1.4, spread: 0 })
  assert.equal(of([14, 10], [28, 20]).verdict, 'met')
  assert.equal(of([15.4, 10], [16, 10], [14.6, 10]).verdict, 'missed within the spread')
  assert.equal(isBad(of([15.4, 10], [16, 10], [14.6, 10])), false)
  assert.equal(of([17, 10], [17.5, 10], [16.5, 10]).verdict, 'missed')
  assert.ok(isBad(of([17, 10], [17.5, 10], [16.5, 10])))
})

test('a lower bound of the benchmark is missed from below', () => {
  const verdict = (down: number) =>
    judge([row(veeamAuthProxy, { down }), row(nginx, { down: 1000 })], 1).find(({ what }) => /stream down, /.test(what))
      ?.verdict
  assert.equal(verdict(810), 'met')
  assert.equal(verdict(790), 'missed')
})

test('a target of the benchmark whose measuring has failed is not passed by its check, in one round or in all', () => {
  assert.equal(onCache([row(cached, {}), row(hello, { cpu: 10 })], 1).verdict, 'failed')
  const once = onCache([row(cached, { cpu: 14 }, {}), row(hello, { cpu: 10 }, { cpu: 10 })], 2)
  assert.equal(once.verdict, 'failed')
  assert.ok(isBad(once))
})

test('what takes no part in the benchmark is named with the reason, and holds against nobody', () => {
  const absent = { name: hello.name, missing: 'not installed: hello', samples: [], failures: [] }
  const rows = [row(cached, { cpu: 14 }), absent]
  const judged = onCache(rows, 1)
  assert.equal(judged.verdict, 'not measured')
  assert.equal(isBad(judged), false)
  assert.equal(onCache([row(cached, { cpu: 14 })], 1).verdict, 'not measured')
  const text = textOf({ machine: 'm', setting: 's', others: 0, rounds: 1, rows, judged: [judged] })
  assert.match(text, /^hello server +not installed: hello$/m)
})
