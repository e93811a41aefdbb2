import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FakeClock } from './fake-clock.ts'
import {
  after,
  DAY,
  granted,
  HOUR,
  MINUTE,
  outcome,
  refused,
  SECOND,
  sessionRig,
  signedIn,
  unanswered,
} from './session-rig.ts'

const jumps: { what: string; jump: (clock: FakeClock) => void }[] = [
  { what: 'the machine slept for an hour', jump: clock => clock.sleep(HOUR) },
  { what: 'the clock was set forward by a day', jump: clock => clock.set(DAY) },
  { what: 'the clock was set back by a day', jump: clock => clock.set(-DAY) },
]

for (const { what, jump } of jumps) {
  test(`after ${what}, the first request finds a session, by one grant`, async () => {
    const { clock, session, appliance, jumps } = await signedIn()
    await clock.advance(MINUTE)
    jump(clock)
    const first = await session.ready()
    assert.ok(first.isLive(clock))
    await clock.advance(0)
    assert.equal(session.current()?.accessToken, 'access-2')
    assert.deepEqual(appliance.grants, ['password', 'refresh_token'])
    assert.equal(jumps.length, 1)
  })

  test(`after ${what}, a hundred requests at once share one grant and one dropping of connections`, async () => {
    const { clock, session, appliance, jumps } = await signedIn()
    jump(clock)
    const sessions = await Promise.all(Array.from({ length: 100 }, () => session.ready()))
    assert.ok(sessions.every(live => live.isLive(clock)))
    await clock.advance(MINUTE)
    assert.equal(appliance.asked.length, 2)
    assert.equal(jumps.length, 1)
  })

  test(`after ${what}, an attempt that a person makes is the only one`, async () => {
    const { clock, session, appliance, jumps } = await signedIn({
      answers: (_, nth) => (nth === 1 ? refused : granted(nth)),
    })
    jump(clock)
    await session.attempt()
    assert.ok(session.current()?.isLive(clock))
    await clock.advance(MINUTE)
    assert.equal(appliance.asked.length, 2)
    assert.equal(jumps.length, 1)
  })

  test(`after ${what}, a tick renews within 30 seconds though nobody asks`, async () => {
    const { clock, session, appliance, jumps } = await signedIn()
    await clock.advance(MINUTE + 1)
    jump(clock)
    await clock.advance(30 * SECOND)
    assert.deepEqual(appliance.grants, ['password', 'refresh_token'])
    assert.equal(jumps.length, 1)
    assert.equal(session.status().state, 'live')
  })

  test(`after ${what}, renewals go on at their usual pace`, async () => {
    const { clock, session, appliance } = await signedIn()
    await clock.advance(MINUTE)
    jump(clock)
    await clock.advance(30 * SECOND)
    const before = appliance.asked.length
    for (let minute = 0; minute < 60; minute++) {
      await clock.advance(MINUTE)
      assert.ok(session.current()?.isLive(clock))
    }
    const renewals = appliance.asked.length - before
    assert.ok(renewals >= 5 && renewals <= 6, `${renewals} renewals of a 15 min session in an hour`)
  })
}

test('a set clock is told once, with how far it went', async () => {
  const { clock, session, events } = await signedIn()
  clock.set(-DAY)
  session.current()
  session.current()
  await clock.advance(10 * MINUTE)
  assert.deepEqual(
    events.filter(({ type }) => type === 'clock-jumped'),
    [{ type: 'clock-jumped', by: -DAY }],
  )
})

test('a clock that is corrected by a second now and then drops no connection', async () => {
  const { clock, jumps, appliance } = await signedIn({ answers: (_, nth) => granted(nth, DAY) })
  for (let correction = 0; correction < 200; correction++) {
    clock.set(SECOND)
    await clock.advance(MINUTE)
  }
  assert.equal(jumps.length, 0)
  assert.equal(appliance.asked.length, 1)
})

test('a machine that sleeps in the midst of a sign-in has a session when it is awake', async () => {
  const clock = sessionRig().clock
  const { session, appliance } = await signedIn({
    clock,
    answers: (_, nth) => (nth === 1 ? unanswered(clock) : granted(nth)),
  })
  clock.sleep(HOUR)
  await clock.advance(20 * SECOND)
  assert.ok(session.current()?.isLive(clock))
  assert.ok(appliance.asked.length <= 3, `${appliance.asked.length} grants`)
})

test('a grant that came back after a sleep is not trusted for the time slept', async () => {
  const clock = sessionRig().clock
  const { session } = await signedIn({ clock, answers: (_, nth) => after(clock, SECOND, granted(nth, 60)) })
  clock.sleep(HOUR)
  const timer = clock.nextTimer
  await clock.advance(timer)
  assert.equal(session.current(), undefined)
  await clock.advance(5 * SECOND)
  assert.ok(session.current()?.isLive(clock))
})

test('no token outlives its life on either clock, whichever of them runs ahead', async () => {
  for (const jump of [0, 3, -3, 899, -899, 900, -900].map(seconds => seconds * SECOND)) {
    const { clock, session, appliance } = await signedIn()
    appliance.answers = () => unanswered(clock)
    clock.set(jump)
    const left = 900 * SECOND - Math.max(0, jump)
    await clock.advance(Math.max(0, left - 1))
    assert.equal(session.current()?.accessToken, left > 0 ? 'access-1' : undefined, `${jump} ms, at the end`)
    await clock.advance(1)
    assert.equal(session.current(), undefined, `${jump} ms, beyond`)
  }
})

test('a life of years asks for no timer longer than 30 seconds, and is not renewed early', async () => {
  const { clock, appliance } = await signedIn({ answers: (_, nth) => granted(nth, 100 * 365 * 86_400) })
  await clock.advance(2 * HOUR)
  assert.equal(appliance.asked.length, 1)
  assert.ok(Math.max(...clock.asked) <= 30 * SECOND)
})

test('a request waits no longer than 30 seconds for a sign-in', async () => {
  const { clock, session } = sessionRig({ answers: () => new Promise(() => undefined) })
  session.start()
  const waiting = outcome(session.ready())
  await clock.advance(30 * SECOND)
  assert.equal(await waiting, 'NOT_SIGNED_IN')
})
