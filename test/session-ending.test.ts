import assert from 'node:assert/strict'
import { test } from 'node:test'
import pLimit from 'p-limit'
import { settled } from './fake-clock.ts'
import {
  after,
  busy,
  changeable,
  DAY,
  FakeKeep,
  granted,
  json,
  mfaWanted,
  outcome,
  SECOND,
  sessionRig,
  signedIn,
} from './session-rig.ts'

/** A gate that lets nobody through before it is opened. */
function closedGate() {
  const gate = pLimit(1)
  let open = () => {}
  void gate(() => new Promise<void>(resolve => (open = resolve)))
  return { gate, open: () => open() }
}

test('a session that is signed out stays so: no timer, no attempt, whoever asks', async () => {
  const { clock, session, appliance } = await signedIn()
  await session.signOut()
  assert.deepEqual(
    appliance.signOuts.map(({ authorization }) => authorization),
    ['Bearer access-1'],
  )
  assert.equal(clock.timers, 0)
  clock.sleep(DAY)
  assert.equal(await outcome(session.ready()), 'NOT_SIGNED_IN')
  assert.equal(await session.rejected('access-1'), undefined)
  await clock.advance(DAY)
  assert.equal(appliance.asked.length, 1)
  assert.equal(session.status().state, 'signed-out')
})

test('a person signs a signed-out session in again, with the password', async () => {
  const { session, appliance } = await signedIn()
  await session.signOut()
  await session.attempt()
  assert.deepEqual(appliance.grants, ['password', 'password'])
  assert.equal(session.status().state, 'live')
})

test('a sign-out in the midst of a renewal ends the session that it brings', async () => {
  const { clock, session, appliance } = await signedIn()
  appliance.answers = (_, nth) => after(clock, 5 * SECOND, granted(nth))
  void session.attempt()
  const signedOut = session.signOut()
  await clock.advance(5 * SECOND)
  await signedOut
  assert.deepEqual(
    appliance.signOuts.map(({ authorization }) => authorization),
    ['Bearer access-2'],
  )
  assert.equal(session.status().state, 'signed-out')
  assert.equal(clock.timers, 0)
})

test('a token that has expired is not sent, not even to sign out', async () => {
  const { clock, session, appliance } = await signedIn()
  appliance.answers = () => busy()
  await clock.advance(900 * SECOND)
  await session.signOut()
  assert.deepEqual(appliance.signOuts, [])
  assert.equal(session.status().state, 'signed-out')
})

test('a session that is closed makes no more attempts and keeps what there is at the appliance', async () => {
  const keep = new FakeKeep()
  const { clock, session, appliance } = await signedIn({ keep })
  await session.close()
  assert.equal(clock.timers, 0)
  await clock.advance(DAY)
  assert.equal(await outcome(session.attempt()), 'SHUTTING_DOWN')
  assert.equal(await outcome(session.ready()), 'SHUTTING_DOWN')
  assert.deepEqual([appliance.grants, appliance.signOuts], [['password'], []])
  assert.match(keep.saved.at(-1) ?? '', /refresh-1/)
})

for (const end of ['close', 'signOut'] as const) {
  test(`a session that waits for its turn sends no password after ${end}`, async () => {
    const { gate, open } = closedGate()
    const { session, appliance } = sessionRig({ gate })
    session.start()
    await settled()
    const ended = session[end]()
    open()
    await ended
    assert.deepEqual(appliance.grants, [])
  })
}

test('a session that waits for the next TOTP code closes at once', async () => {
  const { session } = await signedIn({
    totp: changeable('JBSWY3DPEHPK3PXP'),
    answers: ({ grant }, nth) =>
      grant === 'password' ? mfaWanted(nth) : json(400, { error_description: 'The code is wrong' }),
  })
  let closed = false
  void session.close().then(() => (closed = true))
  await settled()
  assert.equal(closed, true)
})
