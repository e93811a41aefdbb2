import assert from 'node:assert/strict'
import { test } from 'node:test'
import { products } from '../src/dialects/index.ts'
import { FakeClock } from './fake-clock.ts'
import {
  type Answers,
  after,
  busy,
  changeable,
  DAY,
  FakeKeep,
  granted,
  HOUR,
  json,
  MINUTE,
  mfaWanted,
  outcome,
  refused,
  SECOND,
  signedIn,
} from './session-rig.ts'

const right = '111111'
const wrongCode = json(400, { error: 'invalid_grant', error_description: 'The code is wrong' })
const expiredToken = json(400, { error: 'invalid_grant', error_description: 'The MFA token has expired' })

/** MFA is on: the password brings a demand for a code, and the right code brings the session. */
const demanding: Answers = ({ grant, form }, nth) => {
  if (grant === 'password') return mfaWanted(nth)
  if (grant === 'mfa') return form.get('mfa_code') === right ? granted(nth) : wrongCode
  return granted(nth)
}

test('a session that wants a code waits for days: one sign-in, one report, no timer', async () => {
  const { clock, session, appliance, failures } = await signedIn({ answers: demanding })
  for (let hour = 0; hour < 72; hour++) {
    await clock.advance(HOUR)
    assert.equal(await outcome(session.ready()), 'CODE_WANTED')
    assert.equal(await session.rejected('access-1'), undefined)
    session.secretChanged()
  }
  assert.deepEqual(appliance.grants, ['password'])
  assert.deepEqual(failures(), ['CODE_WANTED'])
  assert.equal(clock.timers, 0)
  const { state, lastError } = session.status()
  assert.deepEqual([state, lastError?.code, lastError?.times], ['waiting', 'CODE_WANTED', 1])
})

test('no sleep and no set clock makes a waiting session ask again', async () => {
  const { clock, session, appliance, failures } = await signedIn({ answers: demanding })
  for (const jump of [DAY, -DAY, HOUR]) {
    clock.set(jump)
    session.current()
    clock.sleep(Math.max(0, jump))
    assert.equal(await outcome(session.ready()), 'CODE_WANTED')
    await clock.advance(HOUR)
  }
  assert.deepEqual(appliance.grants, ['password'])
  assert.deepEqual(failures(), ['CODE_WANTED'])
})

test('a code that comes within two minutes completes the sign-in by itself', async () => {
  const { clock, session, appliance } = await signedIn({ answers: demanding })
  await clock.advance(2 * MINUTE - SECOND)
  await session.giveCode(right)
  assert.deepEqual(appliance.grants, ['password', 'mfa'])
  assert.equal(appliance.asked[1]?.form.get('mfa_token'), 'mfa-token-1')
  assert.equal((await session.ready()).accessToken, 'access-2')
})

for (const [what, wait] of [
  ['after two minutes', (clock: Waiting) => clock.advance(2 * MINUTE + SECOND)],
  ['after three days', (clock: Waiting) => clock.advance(3 * DAY)],
  ['after a sleep', async (clock: Waiting) => clock.sleep(HOUR)],
] as const) {
  test(`the first code that comes ${what} completes the sign-in, with a new mfa_token by one password grant`, async () => {
    const { clock, session, appliance } = await signedIn({ answers: demanding })
    await wait(clock)
    await session.giveCode(right)
    assert.deepEqual(appliance.grants, ['password', 'password', 'mfa'])
    assert.equal(appliance.asked[2]?.form.get('mfa_token'), 'mfa-token-2')
    assert.ok(session.current()?.isLive(clock))
    await clock.advance(DAY)
    assert.equal(session.status().state, 'live')
  })
}
type Waiting = Awaited<ReturnType<typeof signedIn>>['clock']

test('a code for an mfa_token that the appliance calls expired is put to a new one', async () => {
  const { session, appliance } = await signedIn({
    answers: (asked, nth) => (asked.form.get('mfa_token') === 'mfa-token-1' ? expiredToken : demanding(asked, nth)),
  })
  await session.giveCode(right)
  assert.deepEqual(appliance.grants, ['password', 'mfa', 'password', 'mfa'])
})

test('a wrong code leaves the session waiting, and the right one still completes it', async () => {
  const { clock, session, appliance } = await signedIn({ answers: demanding })
  assert.equal(await outcome(session.giveCode('000000')), 'CODE_REFUSED')
  assert.equal(session.status().state, 'waiting')
  assert.equal(await outcome(session.ready()), 'CODE_WANTED')
  await clock.advance(MINUTE)
  await session.giveCode(right)
  assert.deepEqual(appliance.grants, ['password', 'mfa', 'mfa'])
})

test('of codes that are given at the same time each is put to the appliance, one after the other, until one is right', async () => {
  const clock = new FakeClock()
  const { session, appliance } = await signedIn({
    clock,
    answers: (asked, nth) =>
      asked.grant === 'mfa'
        ? after(clock, SECOND, asked.form.get('mfa_code') === right ? granted(nth) : wrongCode)
        : mfaWanted(nth),
  })
  const given = ['000000', right, '222222'].map(code => outcome(session.giveCode(code)))
  await clock.advance(10 * SECOND)
  assert.deepEqual(await Promise.all(given), ['CODE_REFUSED', 'done', 'CODE_UNWANTED'])
  assert.deepEqual(
    appliance.asked.map(({ form }) => form.get('mfa_code')),
    [null, '000000', right],
  )
})

test('the third code within an hour of two refused ones is answered without being sent', async () => {
  const { clock, session, appliance } = await signedIn({ answers: demanding })
  await outcome(session.giveCode('000000'))
  await clock.advance(MINUTE)
  await outcome(session.giveCode('000001'))
  for (const code of ['000002', right, right]) assert.equal(await outcome(session.giveCode(code)), 'TOO_MANY_REFUSALS')
  assert.deepEqual(appliance.grants, ['password', 'mfa', 'mfa'])
  assert.equal(session.status().state, 'waiting')
})

test('a code that cannot be sent costs no password grant either, however old the mfa_token is', async () => {
  const { clock, session, appliance } = await signedIn({ answers: demanding })
  await outcome(session.giveCode('000000'))
  await outcome(session.giveCode('000001'))
  await clock.advance(10 * MINUTE)
  assert.equal(await outcome(session.giveCode(right)), 'TOO_MANY_REFUSALS')
  assert.deepEqual(appliance.grants, ['password', 'mfa', 'mfa'])
})

test('a person who gave two wrong codes is told for how long to wait, and may then go on', async () => {
  const { clock, session } = await signedIn({ answers: demanding })
  await outcome(session.giveCode('000000'))
  await clock.advance(10 * MINUTE)
  await outcome(session.giveCode('000001'))
  const again = new Date(clock.wall() + 50 * MINUTE).toISOString().slice(0, 16)
  await assert.rejects(session.giveCode(right), {
    code: 'TOO_MANY_REFUSALS',
    retryAfter: 50 * MINUTE,
    message: new RegExp(`the next one can be given at ${again}`),
  })
  clock.set(DAY)
  assert.equal(await outcome(session.giveCode(right)), 'TOO_MANY_REFUSALS')
  await clock.advance(50 * MINUTE)
  await session.giveCode(right)
  assert.ok(session.current()?.isLive(clock))
})

test('no more than two wrong codes go out in any hour, however many are given', async () => {
  const { clock, session, appliance } = await signedIn({ answers: demanding })
  for (let minute = 0; minute < 240; minute++) {
    await clock.advance(MINUTE)
    await outcome(session.giveCode('000000'))
  }
  const sent = appliance.asked.filter(({ grant }) => grant === 'mfa').map(({ monotonic }) => monotonic)
  assert.ok(sent.length >= 7, `${sent.length} codes in four hours`)
  for (const [nth, at] of sent.entries()) assert.ok((sent[nth + 2] ?? Infinity) - at >= HOUR, `code ${nth + 2}`)
})

test('the count of refused codes survives a restart', async () => {
  const keep = new FakeKeep()
  const { clock, session } = await signedIn({ answers: demanding, keep })
  await outcome(session.giveCode('000000'))
  await outcome(session.giveCode('000001'))
  await clock.advance(10 * MINUTE)
  const next = await signedIn({ answers: demanding, clock, keep })
  assert.equal(await outcome(next.session.giveCode(right)), 'TOO_MANY_REFUSALS')
  assert.deepEqual(next.appliance.grants, ['password'])
})

test('a code that meets a busy appliance leads back to waiting, not to a loop of sign-ins', async () => {
  const { clock, session, appliance } = await signedIn({
    answers: (asked, nth) => (asked.grant === 'mfa' && nth === 2 ? busy() : demanding(asked, nth)),
  })
  assert.equal(await outcome(session.giveCode(right)), 'APPLIANCE_BUSY')
  await clock.advance(3 * DAY)
  assert.equal(session.status().state, 'waiting')
  assert.deepEqual(appliance.grants, ['password', 'mfa', 'password'])
  await session.giveCode(right)
  assert.equal(session.status().state, 'live')
})

test('a code is refused where nobody asked for one, without a word to the appliance', async () => {
  const { session, appliance } = await signedIn()
  assert.equal(await outcome(session.giveCode(right)), 'CODE_UNWANTED')
  assert.deepEqual(appliance.grants, ['password'])
})

test('a password that was changed meanwhile stops the sign-in when the code comes, and counts', async () => {
  const { clock, session, appliance } = await signedIn({ answers: demanding })
  appliance.answers = () => refused
  await clock.advance(DAY)
  assert.equal(await outcome(session.giveCode(right)), 'SIGN_IN_REFUSED')
  assert.equal(session.status().state, 'refused')
  assert.equal(await outcome(session.giveCode(right)), 'CODE_UNWANTED')
  await clock.advance(DAY)
  assert.deepEqual(appliance.grants, ['password', 'password'])
})

test('a renewal that needs a person leaves the old token in use until it expires, and waits for days', async () => {
  const { clock, session, appliance, failures } = await signedIn()
  appliance.answers = (asked, nth) => (asked.grant === 'refresh_token' ? refused : demanding(asked, nth))
  await clock.advance(900 * SECOND - 1)
  assert.equal(session.current()?.accessToken, 'access-1')
  await clock.advance(3 * DAY)
  assert.equal(session.status().state, 'waiting')
  assert.deepEqual(appliance.grants, ['password', 'refresh_token', 'password'])
  assert.deepEqual(failures(), ['SIGN_IN_REFUSED', 'CODE_WANTED'])
  await session.giveCode(right)
  assert.equal(session.status().state, 'live')
})

test('a code from a TOTP secret is sent once per time step, and wrong ones end after two', async () => {
  const { clock, session, appliance } = await signedIn({
    answers: (asked, nth) => (asked.grant === 'mfa' ? wrongCode : demanding(asked, nth)),
    totp: changeable('JBSWY3DPEHPK3PXP'),
  })
  await clock.advance(DAY)
  const codes = appliance.asked.filter(({ grant }) => grant === 'mfa')
  assert.equal(codes.length, 2)
  assert.notEqual(codes[0]?.form.get('mfa_code'), codes[1]?.form.get('mfa_code'))
  assert.equal(session.status().state, 'waiting')
  assert.ok(Math.max(...clock.asked) <= 30 * SECOND)
})

test("one time step's code is not sent twice though the clock is set back in between", async () => {
  const { clock, session, appliance } = await signedIn({
    answers(asked, nth) {
      if (asked.grant === 'mfa') return granted(nth)
      return asked.grant === 'password' ? mfaWanted(nth) : refused
    },
    totp: changeable('JBSWY3DPEHPK3PXP'),
  })
  await clock.advance(30 * SECOND)
  void session.attempt()
  await clock.advance(5 * SECOND)
  clock.set(-35 * SECOND)
  void session.attempt()
  await clock.advance(2 * MINUTE)
  const codes = appliance.asked.flatMap(({ form }) => form.get('mfa_code') ?? [])
  assert.ok(codes.length >= 3, codes.join())
  assert.equal(new Set(codes).size, codes.length, codes.join())
  clock.set(-DAY)
  await outcome(session.attempt())
  assert.equal(session.status().state, 'live')
})

test('a TOTP code for an mfa_token that has expired is followed by one more password grant and code, not by a loop', async () => {
  const { clock, session, appliance } = await signedIn({
    answers: (asked, nth) => (asked.grant === 'mfa' ? expiredToken : demanding(asked, nth)),
    totp: changeable('JBSWY3DPEHPK3PXP'),
  })
  await clock.advance(2 * DAY)
  assert.deepEqual(appliance.grants, ['password', 'mfa', 'password', 'mfa'])
  assert.equal(session.status().state, 'waiting')
})

test('a TOTP code for a new mfa_token completes the sign-in where the first one had expired', async () => {
  const { clock, session, appliance } = await signedIn({
    answers(asked, nth) {
      if (asked.grant !== 'mfa') return demanding(asked, nth)
      return asked.form.get('mfa_token') === 'mfa-token-1' ? expiredToken : granted(nth)
    },
    totp: changeable('JBSWY3DPEHPK3PXP'),
  })
  await clock.advance(MINUTE)
  assert.deepEqual(appliance.grants, ['password', 'mfa', 'password', 'mfa'])
  assert.equal(session.status().state, 'live')
})

test('a new TOTP secret is tried where codes from the old one were refused', async () => {
  const totp = changeable('JBSWY3DPEHPK3PXP')
  let accepted = false
  const { clock, session, appliance } = await signedIn({
    answers(asked, nth) {
      if (asked.grant !== 'mfa') return demanding(asked, nth)
      return accepted ? granted(nth) : wrongCode
    },
    totp,
  })
  await clock.advance(2 * HOUR)
  assert.equal(session.status().state, 'waiting')
  const asked = appliance.asked.length
  totp.value = 'KRSXG5CTMVRXEZLU'
  accepted = true
  session.secretChanged()
  await clock.advance(MINUTE)
  assert.equal(appliance.asked.length, asked + 2)
  assert.equal(session.status().state, 'live')
})

test('a new authorization code in the secret file is tried where the old one was spent, and each code once', async () => {
  const product = products.find(({ name }) => name === 'google-cloud')
  assert.ok(product)
  const code = changeable('first code')
  const { clock, session, appliance } = await signedIn({
    dialect: product.dialect({ apiVersion: '1.4-rev0', shortTermRefresh: false }),
    credentials: { type: 'authorization_code', code },
    answers: () => refused,
  })
  assert.equal(session.status().state, 'waiting')
  for (const value of ['first code', 'first code', 'second code', 'second code']) {
    code.value = value
    session.secretChanged()
    await clock.advance(MINUTE)
  }
  assert.deepEqual(
    appliance.asked.map(({ form }) => form.get('code')),
    ['first code', 'second code'],
  )
})
