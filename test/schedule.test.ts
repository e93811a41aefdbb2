import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { backoffDelay, renewalDelay, TICK } from '../src/session/schedule.ts'

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const retryAfter = fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }), { nil: undefined })
const failures = fc.oneof(
  fc.integer({ min: 1, max: 20 }),
  fc.maxSafeNat().map(many => many + 1),
)

test('a session of any length is renewed after 70 to 80 % of its life, whatever chance says', () => {
  fc.assert(
    fc.property(fc.double({ min: 1, max: 1e15, noNaN: true }), random, (life, chance) => {
      const share = renewalDelay(life, chance) / life
      assert.ok(share >= 0.7 - 1e-9 && share <= 0.8 + 1e-9, `${share}`)
    }),
  )
})

test('chance uses the whole span, so that renewals of many sessions spread', () => {
  assert.equal(Math.round(renewalDelay(1000, 0)), 700)
  assert.equal(Math.round(renewalDelay(1000, 0.5)), 750)
  assert.equal(Math.round(renewalDelay(1000, 0.999_999)), 800)
})

test('the bound of the pause doubles from one second to a minute', () => {
  const bounds = Array.from({ length: 9 }, (_, failed) => Math.round(backoffDelay(failed + 1, 1 - Number.EPSILON)))
  assert.deepEqual(bounds, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
})

test('the pause is full jitter: half of its bound where chance says one half', () => {
  assert.deepEqual(
    [1, 2, 3, 7].map(failed => backoffDelay(failed, 0.5)),
    [500, 1000, 2000, 30_000],
  )
})

test('the pause is never shorter than what Retry-After asks for, and longer by no more than its jitter', () => {
  fc.assert(
    fc.property(failures, random, retryAfter, (failed, chance, asked) => {
      const delay = backoffDelay(failed, chance, asked)
      assert.ok(delay >= (asked ?? 0), `${delay} before ${asked}`)
      assert.ok(delay <= Math.max(100, (asked ?? 0) + Math.min(60_000, 1000 * 2 ** (failed - 1))), `${delay}`)
    }),
  )
})

test('after any number of failures the pause is a finite number of milliseconds that keeps from hammering', () => {
  fc.assert(
    fc.property(failures, random, retryAfter, (failed, chance, asked) => {
      const delay = backoffDelay(failed, chance, asked)
      assert.ok(Number.isFinite(delay) && delay >= 100, `${delay}`)
    }),
  )
})

test('a tick comes at least every 30 seconds', () => {
  assert.ok(TICK > 0 && TICK <= 30_000)
})
