import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lanes } from '../src/session/lanes.ts'
import { FakeClock } from './fake-clock.ts'
import { type Answers, after, granted, granting, HOUR, MINUTE, SECOND, sessionRig, unanswered } from './session-rig.ts'

/** A thousand sessions as a fleet has them: on one clock, behind one gate. */
function thousand(answersOn: (clock: FakeClock) => Answers) {
  const clock = new FakeClock()
  const gate = lanes()
  let atOnce = 0
  const count = { mostAtOnce: 0, renewals: [] as number[] }
  const answers = answersOn(clock)
  const rigs = Array.from({ length: 1000 }, () =>
    sessionRig({
      clock,
      gate,
      async answers(asked, nth) {
        if (nth > 1) count.renewals.push(clock.monotonic())
        atOnce += 1
        count.mostAtOnce = Math.max(count.mostAtOnce, atOnce)
        try {
          return await answers(asked, nth)
        } finally {
          atOnce -= 1
        }
      },
    }),
  )
  const began = clock.monotonic()
  for (const { session } of rigs) session.start()
  const live = () => rigs.filter(({ session }) => session.current() !== undefined).length
  return { clock, rigs, count, live, began }
}

test('a thousand appliances sign in twelve at a time', async () => {
  const { clock, count, live } = thousand(clock => (_, nth) => after(clock, SECOND, granted(nth)))
  await clock.advance(10 * SECOND)
  assert.equal(live(), 120)
  await clock.advance(74 * SECOND)
  assert.equal(live(), 1000)
  assert.equal(count.mostAtOnce, 12)
})

test('a hundred dead appliances keep no other one waiting, and make sixteen sign-ins at a time at most', async () => {
  const clock = new FakeClock()
  const gate = lanes()
  const dead = Array.from({ length: 100 }, () => sessionRig({ clock, gate, answers: () => unanswered(clock) }))
  for (const { session } of dead) session.start()
  await clock.advance(10 * MINUTE)
  const { session } = sessionRig({ clock, gate, answers: () => after(clock, SECOND, granted(1, 10)) })
  session.start()
  let without = 0
  for (let second = 0; second < 5 * MINUTE; second += SECOND) {
    await clock.advance(SECOND)
    if (session.current() === undefined) without += 1
    const atOnce = dead.reduce((sum, { appliance }) => sum + appliance.atOnce, 0)
    assert.ok(atOnce <= 4, `${atOnce} dead ones at once`)
  }
  assert.ok(without <= 2, `no session in ${without} seconds of 300`)
})

test('a thousand live sessions hold one timer each, of 30 seconds at most', async () => {
  const { clock, live } = thousand(() => granting)
  for (const pause of [0, 7 * SECOND, 29 * SECOND, 2 * MINUTE]) {
    await clock.advance(pause)
    assert.equal(live(), 1000)
    assert.equal(clock.timers, 1000)
    assert.ok(clock.nextTimer <= 30 * SECOND)
  }
  assert.ok(Math.max(...clock.asked) <= 30 * SECOND)
})

test('a thousand sessions that began together are renewed spread over a tenth of their life', async () => {
  const { clock, count, began, live } = thousand(() => granting)
  await clock.advance(629 * SECOND)
  assert.equal(count.renewals.length, 0)
  await clock.advance(92 * SECOND)
  assert.equal(count.renewals.length, 1000)
  assert.equal(live(), 1000)
  const perSecond = new Map<number, number>()
  for (const at of count.renewals) {
    const second = Math.floor((at - began) / SECOND)
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
  }
  assert.ok(perSecond.size >= 85, `${perSecond.size} different seconds`)
  assert.ok(Math.max(...perSecond.values()) <= 40, `${Math.max(...perSecond.values())} in one second`)
})

test('a thousand sessions are renewed twelve at a time after a sleep, each once', async () => {
  const { clock, rigs, count, live } = thousand(
    clock => (_, nth) => (nth === 1 ? granted(nth) : after(clock, SECOND, granted(nth))),
  )
  await clock.advance(SECOND)
  clock.sleep(HOUR)
  assert.equal(live(), 0)
  await clock.advance(2 * MINUTE)
  assert.equal(live(), 1000)
  assert.ok(rigs.every(({ appliance }) => appliance.asked.length === 2))
  assert.equal(count.mostAtOnce, 12)
})
