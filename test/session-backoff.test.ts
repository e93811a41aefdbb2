import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../src/errors.ts'
import { settled } from './fake-clock.ts'
import {
  type Answers,
  busy,
  granted,
  json,
  MINUTE,
  outcome,
  refused,
  SECOND,
  sessionRig,
  signedIn,
  unanswered,
} from './session-rig.ts'

const most = 1 - Number.EPSILON

/** Signed in for 15 minutes, and from then on the appliance answers as given. */
async function signedInThen(answers: Answers) {
  const rig = await signedIn()
  rig.appliance.answers = answers
  return rig
}

/** Milliseconds between one attempt and the next, rounded. */
function gaps(asked: readonly { monotonic: number }[]): number[] {
  return asked.slice(1).map(({ monotonic }, nth) => Math.round(monotonic - (asked[nth]?.monotonic ?? 0)))
}

const troubles: [string, Answers][] = [
  ['answers 503', () => busy()],
  ['answers 500', () => busy({}, 500)],
  ['answers 429 and tells no time', () => busy({}, 429)],
  ['answers garbage', () => ({ status: 200, fields: {}, body: '<html>' })],
  ['answers an empty 200', () => ({ status: 200, fields: {}, body: '' })],
  ['cannot be reached', () => Promise.reject(new Failure('APPLIANCE_UNREACHABLE', 'Nobody there.'))],
]

for (const [what, answers] of troubles) {
  test(`the old token serves to its last millisecond, never beyond, while the appliance ${what}`, async () => {
    const { clock, session, appliance } = await signedInThen(answers)
    await clock.advance(900 * SECOND - 1)
    assert.equal((await session.ready()).accessToken, 'access-1')
    assert.equal(session.status().state, 'live')
    assert.ok(appliance.asked.length > 3, `${appliance.asked.length} grants`)
    await clock.advance(1)
    assert.equal(session.current(), undefined)
    assert.equal(await outcome(session.ready()), 'NOT_SIGNED_IN')
  })

  test(`attempts come later each time, up to a minute, while the appliance ${what}`, async () => {
    const { clock, appliance } = await signedInThen(answers)
    clock.random = () => most
    await clock.advance(30 * MINUTE)
    const seconds = gaps(appliance.asked.slice(1)).map(gap => Math.round(gap / SECOND))
    assert.deepEqual(seconds.slice(0, 9), [1, 2, 4, 8, 16, 32, 60, 60, 60])
  })
}

test('the pauses are under full jitter: chance spreads them over their whole bound', async () => {
  const { clock, appliance } = await signedInThen(() => busy())
  await clock.advance(3 * 60 * MINUTE)
  const long = gaps(appliance.asked.slice(1)).slice(7)
  assert.ok(Math.min(...long) < 10 * SECOND && Math.max(...long) > 50 * SECOND, long.join(' '))
  assert.ok(Math.max(...long) <= MINUTE)
})

test('an attempt after the appliance recovers brings a session, and the pauses begin anew', async () => {
  const { clock, session, appliance } = await signedInThen(() => busy())
  clock.random = () => most
  await clock.advance(20 * MINUTE)
  appliance.answers = (_, nth) => granted(nth)
  await clock.advance(MINUTE)
  assert.ok(session.current()?.isLive(clock))
  assert.equal(session.status().lastError, undefined)
  const before = appliance.asked.length
  appliance.answers = () => busy()
  await clock.advance(13 * MINUTE)
  assert.deepEqual(gaps(appliance.asked.slice(before)).slice(0, 2), [SECOND, 2 * SECOND])
})

test('a refresh token is not given up for trouble: no password is sent until the appliance refuses it', async () => {
  const { clock, appliance } = await signedInThen(() => busy())
  await clock.advance(60 * MINUTE)
  assert.deepEqual([...new Set(appliance.grants.slice(1))], ['refresh_token'])
})

test('a refresh token that the appliance refused is not sent again', async () => {
  const { clock, appliance } = await signedInThen(({ grant }) => (grant === 'refresh_token' ? refused : busy()))
  await clock.advance(20 * MINUTE)
  assert.equal(appliance.grants.filter(grant => grant === 'refresh_token').length, 1)
})

const dated = (ask: string) => busy({ 'retry-after': ask, date: 'Thu, 15 Jan 2026 10:00:00 GMT' }, 429)
for (const [form, answer] of [
  ['in seconds', busy({ 'retry-after': '120' }, 429)],
  ['as an HTTP date', dated('Thu, 15 Jan 2026 10:02:00 GMT')],
  ['in the old form of an HTTP date', dated('Thursday, 15-Jan-26 10:02:00 GMT')],
] as const) {
  test(`Retry-After ${form} is obeyed, whatever chance says and callers do`, async () => {
    for (const chance of [0, most]) {
      const { clock, session, appliance } = await signedInThen((_, nth) => (nth === 2 ? answer : granted(nth)))
      clock.random = () => chance
      await clock.advance(14 * MINUTE)
      const sent = appliance.asked.map(({ monotonic }) => monotonic)
      for (let second = 0; second < 60; second++) {
        await outcome(session.ready())
        await clock.advance(2 * SECOND)
      }
      const [gap = 0] = gaps(appliance.asked.slice(1))
      assert.equal(sent.length >= 2, true)
      assert.ok(gap >= 120 * SECOND && gap <= 121 * SECOND, `${gap} ms`)
    }
  })
}

test('a caller without a session is told to come back when the next attempt is due', async () => {
  const { clock, session } = sessionRig({ answers: () => busy({ 'retry-after': '120' }) })
  clock.random = () => 0
  session.start()
  await settled()
  await clock.advance(20 * SECOND)
  await assert.rejects(session.ready(), { code: 'NOT_SIGNED_IN', retryAfter: 100 * SECOND })
})

test('a caller in the pause before an attempt causes none', async () => {
  const { clock, session, appliance } = sessionRig({ answers: () => busy({ 'retry-after': '60' }) })
  session.start()
  await settled()
  await Promise.all(Array.from({ length: 100 }, () => outcome(session.ready())))
  assert.equal(appliance.asked.length, 1)
  await clock.advance(59 * SECOND)
  await outcome(session.ready())
  assert.equal(appliance.asked.length, 1)
})

test('a 401 to a request causes no attempt before Retry-After has passed', async () => {
  const { clock, session, appliance } = await signedInThen(() => busy({ 'retry-after': '300' }))
  await clock.advance(13 * MINUTE)
  assert.equal(appliance.asked.length, 2)
  assert.equal(await session.rejected('access-1'), undefined)
  assert.equal(appliance.asked.length, 2)
})

test('an appliance that never answers is asked again once the request is given up, one request at a time', async () => {
  const { clock, appliance } = await signedIn()
  appliance.answers = () => unanswered(clock)
  await clock.advance(60 * MINUTE)
  assert.ok(appliance.asked.length > 30)
  assert.equal(appliance.mostAtOnce, 1)
})

test('each failure is reported with the pause that follows it, and counted', async () => {
  const { clock, events, session } = await signedInThen(() => json(500, { message: 'disk full' }))
  clock.random = () => most
  await clock.advance(11.9 * MINUTE)
  const reports = events.flatMap(event => (event.type === 'failed' ? [event] : []))
  assert.deepEqual(
    reports.slice(0, 3).map(({ grant, retryIn, repeated }) => [grant, Math.round(retryIn ?? 0), repeated]),
    [
      ['refresh_token', SECOND, 1],
      ['refresh_token', 2 * SECOND, 2],
      ['refresh_token', 4 * SECOND, 3],
    ],
  )
  const { lastError } = session.status()
  assert.deepEqual([lastError?.code, lastError?.times], ['APPLIANCE_BUSY', reports.length])
})
