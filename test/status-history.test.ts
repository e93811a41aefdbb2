import assert from 'node:assert/strict'
import test from 'node:test'
import { History, type Outcome, SLOT, SLOTS } from '../src/status/history.ts'
import { duration, percent, rate } from '../src/status/page/figures.ts'
import { sparkline } from '../src/status/page/sparkline.ts'

const good: Outcome = { appliance: 'box', fromUpstream: true, failure: undefined, firstByte: 10, path: '/v8/Jobs' }

/** A history whose clock is the test's. */
function startHistory() {
  let now = 7_000_000
  const history = new History(() => now)
  return {
    history,
    sleep(milliseconds: number) {
      now += milliseconds
    },
    record(status: number, outcome: Partial<Outcome> = {}) {
      history.record({ ...good, ...outcome }, status)
    },
    get traffic() {
      return history.trafficOf('box')
    },
  }
}

test('requests are remembered for fifteen minutes and no longer', () => {
  const past = startHistory()
  past.record(200)
  past.sleep(SLOT)
  past.record(200)
  past.record(500)
  assert.equal(past.traffic.requests.length * SLOT, 15 * 60_000)
  assert.deepEqual(
    [past.traffic.requests.slice(-2), past.traffic.failed.slice(-2)],
    [
      [1, 2],
      [0, 1],
    ],
  )
  past.sleep((SLOTS - 2) * SLOT)
  assert.deepEqual(past.traffic.requests.slice(0, 2), [1, 2])
  past.sleep(SLOT)
  assert.deepEqual(past.traffic.requests.slice(0, 2), [2, 0])
  past.sleep(SLOT)
  assert.deepEqual({ ...past.traffic, version: undefined, elapsed: 0 }, new History().trafficOf('nobody'))
  past.sleep(1000 * SLOT)
  past.record(200)
  assert.equal(past.traffic.requests.at(-1), 1)
})

test('the rate is that of the last minute', () => {
  const past = startHistory()
  past.sleep(SLOT - (7_000_000 % SLOT))
  for (let i = 0; i < 60; i += 1) {
    past.record(200)
    past.sleep(1000)
  }
  assert.ok(Math.abs(past.traffic.perSecond - 1) < 0.05, String(past.traffic.perSecond))
  past.sleep(60_000)
  assert.equal(past.traffic.perSecond, 0)
})

test('an answer that failed, or was broken off, counts as failed; one that was denied, or nobody waited for, not at all', () => {
  const past = startHistory()
  past.record(200)
  past.record(404)
  past.record(200, { failure: 'APPLIANCE_UNREACHABLE' })
  past.record(502, { fromUpstream: false, failure: 'APPLIANCE_UNREACHABLE', firstByte: undefined })
  past.record(403, { fromUpstream: false, failure: 'PATH_DENIED', firstByte: undefined })
  past.record(200, { fromUpstream: false, firstByte: undefined })
  past.record(200, { appliance: undefined })
  assert.deepEqual([past.traffic.requests.at(-1), past.traffic.failed.at(-1)], [4, 2])
  assert.equal(past.traffic.failedShare, 0.5)
  assert.deepEqual([past.traffic.trouble?.status, past.traffic.trouble?.failure], [502, 'APPLIANCE_UNREACHABLE'])
})

test('the line of requests does not fall because a slot has only begun', () => {
  const past = startHistory()
  past.sleep(SLOT - (7_000_000 % SLOT))
  const last = () => Number(/,([\d.]+)"\/><path class="failed"/.exec(sparkline(past.traffic).text)?.[1])
  for (let i = 0; i < 40; i += 1) {
    past.record(200)
    past.sleep(SLOT / 10)
    if (i > 20) assert.ok(last() < 6, `${last()} of 28 from the top after ${i}`)
  }
})

test('p50 and p99 are right to within a quarter, from half a millisecond to a minute', () => {
  for (const scale of [0.6, 8, 300, 20_000]) {
    const past = startHistory()
    for (let i = 0; i < 90; i += 1) past.record(200, { firstByte: scale })
    for (let i = 0; i < 10; i += 1) past.record(200, { firstByte: scale * 2 })
    const { p50 = 0, p99 = 0 } = past.traffic
    assert.ok(p50 > scale * 0.75 && p50 < scale * 1.25, `p50 ${p50} of ${scale}`)
    assert.ok(p99 > scale * 1.5 && p99 < scale * 2.5, `p99 ${p99} of ${scale * 2}`)
  }
})

test('the version of the API is that of the last path answered well', () => {
  const past = startHistory()
  past.record(200, { path: '/api/v8.1/policies?next=/v1/x' })
  past.record(404, { path: '/api/v9/policies' })
  assert.equal(past.traffic.version, 'v8.1')
  past.record(200, { path: '/videos/x?y=/v7/' })
  assert.equal(past.traffic.version, undefined)
})

test('an appliance that is configured no more is forgotten', () => {
  const past = startHistory()
  past.record(200)
  past.history.keepOnly(new Map())
  assert.equal(past.traffic.requests.at(-1), 0)
})

test('figures are rounded so that something never reads as nothing, nor nearly all as all', () => {
  assert.deepEqual([0, 0.0004, 0.01, 0.125, 0.996, 1].map(percent), [
    '0 %',
    '< 0.1 %',
    '1.0 %',
    '13 %',
    '99 %',
    '100 %',
  ])
  assert.deepEqual([0, 0.001, 0.04, 0.31, 12.4, 23_000].map(rate), ['0', '< 0.01', '0.04', '0.3', '12', '23k'])
  assert.deepEqual([0.62, 84.6, 1234].map(duration), ['0.6 ms', '85 ms', '1.2 s'])
})
