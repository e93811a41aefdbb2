import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settled } from './fake-clock.ts'
import {
  after,
  changeable,
  DAY,
  FakeKeep,
  granted,
  HOUR,
  MINUTE,
  outcome,
  refused,
  SECOND,
  sessionRig,
  signedIn,
} from './session-rig.ts'

const refusing = { answers: () => refused }

test('a refused password stops the session: no timer, no attempt, for days', async () => {
  const { clock, session, appliance, failures } = await signedIn(refusing)
  await clock.advance(3 * DAY)
  assert.equal(clock.timers, 0)
  assert.deepEqual(appliance.grants, ['password'])
  assert.deepEqual(failures(), ['SIGN_IN_REFUSED'])
  assert.equal(session.status().state, 'refused')
})

test('no caller causes an attempt after a refused password, whatever the clock does', async () => {
  const { clock, session, appliance } = await signedIn(refusing)
  for (const jump of [0, DAY, -DAY, HOUR]) {
    clock.set(jump)
    clock.sleep(jump === 0 ? HOUR : 0)
    const told = await Promise.all(Array.from({ length: 20 }, () => outcome(session.ready())))
    assert.deepEqual([...new Set(told)], ['SIGN_IN_REFUSED'])
    assert.equal(await session.rejected('access-1'), undefined)
    assert.equal(session.status().state, 'refused')
    await clock.advance(2 * HOUR)
  }
  assert.equal(appliance.asked.length, 1)
})

test('a person may try a refused password once more; the third time it is answered without being sent', async () => {
  const { session, appliance } = await signedIn(refusing)
  assert.equal(await outcome(session.attempt()), 'SIGN_IN_REFUSED')
  assert.equal(appliance.asked.length, 2)
  for (let attempt = 0; attempt < 10; attempt++) assert.equal(await outcome(session.attempt()), 'SIGN_IN_REFUSED')
  assert.equal(appliance.asked.length, 2)
})

test('a person who is held back is told for how long', async () => {
  const { clock, session } = await signedIn(refusing)
  await clock.advance(10 * MINUTE)
  await outcome(session.attempt())
  await clock.advance(10 * MINUTE)
  await assert.rejects(session.attempt(), { code: 'SIGN_IN_REFUSED', retryAfter: 40 * MINUTE })
})

test('a refused password may be tried again when an hour has passed, and never three times in any hour', async () => {
  const { clock, session, appliance } = await signedIn(refusing)
  for (let minute = 0; minute < 300; minute++) {
    await clock.advance(MINUTE)
    await outcome(session.attempt())
  }
  const sent = appliance.asked.map(({ monotonic }) => monotonic)
  assert.ok(sent.length >= 9, `${sent.length} attempts in five hours`)
  for (const [nth, at] of sent.entries()) assert.ok((sent[nth + 2] ?? Infinity) - at >= HOUR, `attempt ${nth + 2}`)
})

test('setting the clock forward by a day, or sleeping through one, buys no attempt', async () => {
  const { clock, session, appliance } = await signedIn(refusing)
  await outcome(session.attempt())
  clock.set(DAY)
  assert.equal(await outcome(session.attempt()), 'SIGN_IN_REFUSED')
  clock.sleep(DAY)
  assert.equal(await outcome(session.attempt()), 'SIGN_IN_REFUSED')
  await clock.advance(HOUR - SECOND)
  assert.equal(await outcome(session.attempt()), 'SIGN_IN_REFUSED')
  assert.equal(appliance.asked.length, 2)
  await clock.advance(SECOND)
  await outcome(session.attempt())
  assert.equal(appliance.asked.length, 3)
})

test('a clock that is set back by a day holds nobody back for more than the hour', async () => {
  const { clock, session, appliance } = await signedIn(refusing)
  await outcome(session.attempt())
  clock.set(-DAY)
  assert.equal(await outcome(session.attempt()), 'SIGN_IN_REFUSED')
  await clock.advance(HOUR + SECOND)
  await outcome(session.attempt())
  assert.equal(appliance.asked.length, 3)
})

test('a changed secret is tried once, without anybody asking', async () => {
  const { clock, session, appliance, password } = await signedIn(refusing)
  password.value = 'battery staple'
  session.secretChanged()
  await clock.advance(DAY)
  assert.deepEqual(
    appliance.asked.map(({ form }) => form.get('Password')),
    ['correct horse', 'battery staple'],
  )
})

test('a changed secret that is right brings the session back', async () => {
  const { clock, session, appliance, password } = await signedIn(refusing)
  appliance.answers = ({ form }, nth) => (form.get('Password') === 'battery staple' ? granted(nth) : refused)
  password.value = 'battery staple'
  session.secretChanged()
  await clock.advance(HOUR)
  assert.equal(session.status().state, 'live')
})

test('a request that comes while a changed secret is being tried waits for what that brings', async () => {
  const { clock, session, appliance, password } = await signedIn(refusing)
  appliance.answers = (_, nth) => after(clock, SECOND, granted(nth))
  password.value = 'battery staple'
  session.secretChanged()
  const waiting = outcome(session.ready())
  await clock.advance(2 * SECOND)
  assert.equal(await waiting, 'access-2')
})

test('a changed secret has a count of its own, and the old one keeps its own', async () => {
  const { session, appliance, password } = await signedIn(refusing)
  const sent = () => appliance.asked.map(({ form }) => form.get('Password'))
  for (const value of ['correct horse', 'battery staple', 'correct horse', 'tr0ub4dor', 'battery staple']) {
    password.value = value
    for (let attempt = 0; attempt < 4; attempt++) await outcome(session.attempt())
  }
  const expected = ['correct horse', 'battery staple', 'tr0ub4dor'].flatMap(value => [value, value])
  assert.deepEqual(sent(), expected)
})

test('a secret file that is touched, or one of another appliance, does not make the same password be sent again', async () => {
  const { clock, session, appliance, failures } = await signedIn(refusing)
  for (let touch = 0; touch < 150; touch++) {
    session.secretChanged()
    await clock.advance(MINUTE)
  }
  assert.equal(appliance.asked.length, 1)
  assert.deepEqual(failures(), ['SIGN_IN_REFUSED'])
  assert.equal(await outcome(session.ready()), 'SIGN_IN_REFUSED')
  assert.equal(session.status().state, 'refused')
})

test('a secret that changes while the old one is being refused is tried all the same', async () => {
  const rig = sessionRig()
  const { clock, session, appliance, password } = rig
  appliance.answers = ({ form }, nth) =>
    form.get('Password') === 'battery staple' ? granted(nth) : after(clock, 10 * SECOND, refused)
  session.start()
  await clock.advance(5 * SECOND)
  password.value = 'battery staple'
  session.secretChanged()
  await clock.advance(10 * SECOND)
  assert.equal(session.status().state, 'live')
})

test('a changed secret does not sign in where somebody signed out on purpose', async () => {
  const { clock, session, appliance, password } = await signedIn()
  await session.signOut()
  password.value = 'battery staple'
  session.secretChanged()
  await clock.advance(DAY)
  assert.equal(appliance.asked.length, 1)
  assert.equal(session.status().state, 'signed-out')
})

test('the count survives a restart: two refusals in one process are the last in the next, for the hour', async () => {
  const keep = new FakeKeep()
  const { clock, session, appliance } = await signedIn({ ...refusing, keep })
  await outcome(session.attempt())
  assert.equal(appliance.asked.length, 2)
  for (let restart = 0; restart < 5; restart++) {
    await clock.advance(10 * MINUTE)
    const again = await signedIn({ ...refusing, clock, keep })
    assert.equal(again.appliance.asked.length, 0, `restart ${restart}`)
    assert.equal(again.session.status().state, 'refused')
    assert.equal(await outcome(again.session.attempt()), 'SIGN_IN_REFUSED')
    assert.equal(again.appliance.asked.length, 0)
  }
  await clock.advance(10 * MINUTE)
  const later = await signedIn({ clock, keep })
  assert.equal(later.session.status().state, 'live')
})

test('a process that restarts all the time after a refused password sends it no more than twice an hour', async () => {
  const keep = new FakeKeep()
  const { clock, appliance } = await signedIn({ ...refusing, keep })
  let sent = appliance.asked.length
  for (let restart = 0; restart < 55; restart++) {
    await clock.advance(MINUTE)
    sent += (await signedIn({ ...refusing, clock, keep })).appliance.asked.length
  }
  assert.equal(sent, 2)
})

test('a new password counts for itself also after a restart', async () => {
  const keep = new FakeKeep()
  const { clock, session } = await signedIn({ ...refusing, keep })
  await outcome(session.attempt())
  const { appliance } = await signedIn({ clock, keep, password: changeable('battery staple') })
  assert.deepEqual(appliance.grants, ['password'])
})

test('nothing of a refused password is kept that would tell it', async () => {
  const keep = new FakeKeep()
  await signedIn({ ...refusing, keep })
  assert.ok(keep.saved.length > 0)
  assert.ok(keep.saved.every(text => !text.includes('correct horse')))
})

test('a refusal is on disk before anybody is told of it', async () => {
  const keep = new FakeKeep()
  let save = () => {}
  keep.delay = () => new Promise<void>(resolve => (save = resolve))
  const { session } = sessionRig({ ...refusing, keep })
  let told = false
  const attempt = outcome(session.attempt()).then(() => (told = true))
  await settled()
  assert.equal(told, false)
  save()
  await attempt
  assert.equal(keep.saved.length, 1)
})

test('after a refused renewal the old token serves to its end, and then callers are told why there is none', async () => {
  const { clock, session, appliance } = await signedIn()
  appliance.answers = () => refused
  await clock.advance(900 * SECOND - 1)
  assert.equal(session.current()?.accessToken, 'access-1')
  assert.deepEqual(appliance.grants, ['password', 'refresh_token', 'password'])
  await clock.advance(1)
  assert.equal(await outcome(session.ready()), 'SIGN_IN_REFUSED')
  assert.equal(session.status().state, 'refused')
})

test('each refusal is told with the grant that was refused: the refresh token, then the password', async () => {
  const { clock, events } = await signedIn({ answers: (_, nth) => (nth === 1 ? granted(nth) : refused) })
  await clock.advance(HOUR)
  assert.deepEqual(
    events.flatMap(event => (event.type === 'failed' ? [[event.grant, event.failure.code]] : [])),
    [
      ['refresh_token', 'SIGN_IN_REFUSED'],
      ['password', 'SIGN_IN_REFUSED'],
    ],
  )
})
