import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock, settled } from './fake-clock.ts'
import { after, busy, granted, outcome, refused, SECOND, signedIn, unanswered } from './session-rig.ts'

test('fifty callers whose token was rejected share one renewal, and all get its session', async () => {
  const { session, appliance, events } = await signedIn()
  const sessions = await Promise.all(Array.from({ length: 50 }, () => session.rejected('access-1')))
  assert.deepEqual([...new Set(sessions.map(live => live?.accessToken))], ['access-2'])
  assert.deepEqual(appliance.grants, ['password', 'refresh_token'])
  assert.equal(events.filter(({ type }) => type === 'rejected').length, 1)
})

test('a caller that was rejected with an older token gets the current one at once', async () => {
  const { session, appliance } = await signedIn()
  await session.rejected('access-1')
  appliance.answers = () => new Promise(() => undefined)
  assert.equal((await session.rejected('access-1'))?.accessToken, 'access-2')
  assert.equal(appliance.asked.length, 2)
})

test('a token that is rejected within ten seconds of the last forced renewal causes none', async () => {
  const { clock, session, appliance } = await signedIn()
  await session.rejected('access-1')
  for (let tenth = 0; tenth < 99; tenth++) {
    assert.equal(await session.rejected('access-2'), undefined)
    await clock.advance(100)
  }
  assert.equal(appliance.asked.length, 2)
  await clock.advance(100)
  assert.equal((await session.rejected('access-2'))?.accessToken, 'access-3')
})

test('an appliance that rejects every fresh token is asked for six sessions a minute at most', async () => {
  const { clock, session, appliance } = await signedIn()
  for (let second = 0; second < 600; second++) {
    await session.rejected(session.current()?.accessToken ?? '')
    await clock.advance(SECOND)
  }
  assert.ok(appliance.asked.length <= 62, `${appliance.asked.length} grants in ten minutes`)
})

test('a token that is rejected during a renewal waits for that one', async () => {
  const clock = new FakeClock()
  clock.random = () => 0.5
  const { session, appliance } = await signedIn({ clock })
  appliance.answers = (_, nth) => after(clock, 5 * SECOND, granted(nth))
  await clock.advance(676 * SECOND)
  assert.equal(session.status().state, 'renewing')
  const renewed = session.rejected('access-1')
  await clock.advance(6 * SECOND)
  assert.equal((await renewed)?.accessToken, 'access-2')
  assert.equal(appliance.asked.length, 2)
})

test('a rejected session whose refresh token is dead too is replaced by one sign-in with the password', async () => {
  const { session, appliance } = await signedIn()
  appliance.answers = ({ grant }, nth) => (grant === 'refresh_token' ? refused : granted(nth))
  assert.equal((await session.rejected('access-1'))?.accessToken, 'access-3')
  assert.deepEqual(appliance.grants, ['password', 'refresh_token', 'password'])
})

test('a caller is told that there is no better token when the renewal fails', async () => {
  const { clock, session, appliance } = await signedIn()
  appliance.answers = () => busy()
  assert.equal(await session.rejected('access-1'), undefined)
  assert.equal(appliance.asked.length, 2)
  await clock.advance(SECOND)
  assert.equal(await session.rejected('access-1'), undefined)
})

test('a rejected caller waits no longer than thirty seconds', async () => {
  const { clock, session, appliance } = await signedIn()
  appliance.answers = () => unanswered(clock, 120 * SECOND)
  const waiting = session.rejected('access-1')
  await clock.advance(30 * SECOND)
  assert.equal(await waiting, undefined)
})

test('a rejected token renews nothing once the session is signed out or closed', async () => {
  for (const end of ['signOut', 'close'] as const) {
    const { session, appliance } = await signedIn()
    await session[end]()
    await session.rejected('access-1')
    await settled()
    assert.equal(appliance.asked.length, 1, end)
  }
})

test('setting the clock forward does not bring the next forced renewal sooner', async () => {
  const { clock, session, appliance } = await signedIn()
  await session.rejected('access-1')
  clock.set(4 * SECOND)
  await clock.advance(7 * SECOND)
  await session.rejected('access-2')
  assert.equal(appliance.asked.length, 2)
})

test('a session that the appliance rejects and will not replace is over, and callers are told why', async () => {
  const { session, appliance } = await signedIn()
  appliance.answers = () => refused
  assert.equal(await session.rejected('access-1'), undefined)
  assert.equal(session.current(), undefined)
  assert.equal(session.status().state, 'refused')
  assert.equal(await outcome(session.ready()), 'SIGN_IN_REFUSED')
})

test('a session that was not rejected serves on when its renewal is refused', async () => {
  const { clock, session, appliance } = await signedIn()
  appliance.answers = () => refused
  await clock.advance(800 * SECOND)
  assert.deepEqual(appliance.grants, ['password', 'refresh_token', 'password'])
  assert.equal(session.current()?.accessToken, 'access-1')
})
