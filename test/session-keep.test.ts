import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { products } from '../src/dialects/index.ts'
import { chance, FakeClock } from './fake-clock.ts'
import {
  busy,
  DAY,
  FakeKeep,
  granted,
  grantedWithoutRefresh,
  HOUR,
  MINUTE,
  refused,
  SECOND,
  sessionRig,
  signedIn,
} from './session-rig.ts'

/** A session that was kept by an earlier process, and the clock it was kept under. */
async function kept() {
  const keep = new FakeKeep()
  const { clock, session } = await signedIn({ keep })
  await session.close()
  return { clock, keep }
}

function refreshTokenIn(text: string | undefined): unknown {
  return text === undefined ? undefined : Object(JSON.parse(text)).session?.refreshToken
}

test('the refresh token that is sent is always the one that was saved last', async () => {
  const clock = new FakeClock()
  const random = chance(7)
  const keep = new FakeKeep()
  keep.delay = () => new Promise<void>(resolve => clock.timer(random() * 5 * SECOND, resolve))
  const sent: unknown[][] = []
  const { session } = sessionRig({
    clock,
    keep,
    answers({ grant, form }, nth) {
      if (grant === 'refresh_token') sent.push([form.get('refresh_token'), refreshTokenIn(keep.saved.at(-1))])
      if (random() < 0.2) return busy()
      return random() < 0.3 ? grantedWithoutRefresh(nth, 4) : granted(nth, 4)
    },
  })
  session.start()
  for (let second = 0; second < 600; second++) {
    await clock.advance(SECOND)
    if (random() < 0.1) void session.rejected(session.current()?.accessToken ?? '')
    if (random() < 0.05) clock.sleep(HOUR)
  }
  assert.ok(sent.length > 50, `${sent.length} renewals`)
  for (const [used, saved] of sent) assert.equal(used, saved)
})

test('an answer without a refresh token leaves the old one in use, here and where it is kept', async () => {
  const keep = new FakeKeep()
  const { clock, appliance } = await signedIn({
    keep,
    answers: (_, nth) => (nth === 1 ? granted(nth) : grantedWithoutRefresh(nth)),
  })
  await clock.advance(HOUR)
  assert.deepEqual([...new Set(appliance.grants.slice(1))], ['refresh_token'])
  assert.equal(refreshTokenIn(keep.saved.at(-1)), 'refresh-1')
})

test('the new access token serves before the save is done, and the renewal waits for it', async () => {
  const keep = new FakeKeep()
  keep.delay = () => new Promise(() => undefined)
  const { clock, session, appliance } = await signedIn({ keep })
  assert.equal(session.current()?.accessToken, 'access-1')
  await clock.advance(890 * SECOND)
  assert.equal(appliance.asked.length, 1)
})

test('a session that cannot be saved serves all the same, and that is reported', async () => {
  const keep = new FakeKeep()
  keep.delay = () => Promise.reject(new Error('no space left'))
  const { clock, session, events } = await signedIn({ keep })
  assert.deepEqual(
    events.filter(({ type }) => type === 'not-kept'),
    [{ type: 'not-kept', reason: 'no space left' }],
  )
  await clock.advance(DAY)
  assert.equal(session.status().state, 'live')
})

test('cookies that answers set are kept within a second, all of them in one go', async () => {
  const keep = new FakeKeep()
  const product = products.find(({ name }) => name === 'microsoft365')
  assert.ok(product)
  const { clock, session } = await signedIn({
    keep,
    dialect: product.dialect({ apiVersion: 'v8', antiforgery: 'cookies' }),
  })
  assert.equal(keep.saved.length, 1)
  for (let nth = 1; nth <= 20; nth++) session.current()?.cookies?.take(`a=value-${nth}; path=/`, '/v8/Jobs')
  await clock.advance(SECOND)
  assert.equal(keep.saved.length, 2)
  const killed = await signedIn({
    clock,
    keep,
    dialect: product.dialect({ apiVersion: 'v8', antiforgery: 'cookies' }),
  })
  assert.deepEqual(killed.appliance.asked, [])
  assert.equal(killed.session.current()?.cookies?.field('/v8/Jobs'), 'a=value-20')
})

test('a live session that was kept is taken up without a word to the appliance', async () => {
  const { clock, keep } = await kept()
  await clock.advance(5 * MINUTE)
  const { session, appliance, events } = await signedIn({ clock, keep })
  assert.equal(session.current()?.accessToken, 'access-1')
  assert.deepEqual(appliance.grants, [])
  assert.deepEqual(events, [{ type: 'restored', life: 10 * MINUTE }])
  await clock.advance(8 * MINUTE)
  assert.deepEqual(appliance.grants, ['refresh_token'])
  assert.equal(appliance.asked[0]?.form.get('refresh_token'), 'refresh-1')
})

test('a kept session whose time for renewal has passed serves at once and is renewed at once', async () => {
  const { clock, keep } = await kept()
  await clock.advance(14 * MINUTE)
  const { session, appliance } = await signedIn({ clock, keep })
  assert.equal(session.current()?.accessToken, 'access-1')
  await clock.advance(SECOND)
  assert.deepEqual(appliance.grants, ['refresh_token'])
})

test('a kept session that has expired is renewed with its refresh token, without the password', async () => {
  const { clock, keep } = await kept()
  await clock.advance(3 * DAY)
  const { session, appliance } = await signedIn({ clock, keep })
  assert.ok(session.current()?.isLive(clock))
  assert.deepEqual(appliance.grants, ['refresh_token'])
})

test('a kept session whose refresh token has died costs exactly one password grant', async () => {
  const { clock, keep } = await kept()
  await clock.advance(3 * DAY)
  const { session, appliance } = await signedIn({
    clock,
    keep,
    answers: ({ grant }, nth) => (grant === 'refresh_token' ? refused : granted(nth)),
  })
  assert.ok(session.current()?.isLive(clock))
  assert.deepEqual(appliance.grants, ['refresh_token', 'password'])
})

test('what began a session and when are still known after a restart', async () => {
  const { clock, keep } = await kept()
  const since = clock.wall()
  await clock.advance(14 * MINUTE)
  const { session } = await signedIn({ clock, keep })
  await clock.advance(HOUR)
  const status = session.status()
  assert.deepEqual([status.grant, status.since], ['password', since])
})

test('a session that was kept under a clock ahead of this one lives no longer than its life', async () => {
  for (const back of [SECOND, HOUR, DAY, 1000 * DAY]) {
    const { keep } = await kept()
    const clock = new FakeClock()
    clock.set(-back)
    const { session, appliance } = await signedIn({ clock, keep, answers: () => busy() })
    assert.deepEqual(appliance.grants, [])
    await clock.advance(900 * SECOND - 1)
    assert.equal(session.current()?.accessToken, 'access-1')
    await clock.advance(1)
    assert.equal(session.current(), undefined, `set back by ${back} ms`)
  }
})

test('nothing is restored after a sign-out', async () => {
  const keep = new FakeKeep()
  const { clock, session } = await signedIn({ keep })
  await session.signOut()
  assert.ok(!keep.saved.at(-1)?.includes('refresh-1'))
  const next = await signedIn({ clock, keep })
  assert.deepEqual(next.appliance.grants, ['password'])
})

test('whatever stands in the place of a kept session, the next start signs in with the password', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async value => {
      const { session, appliance, failures, clock } = await signedIn({ keep: new FakeKeep(value) })
      assert.deepEqual([appliance.grants, failures()], [['password'], []])
      assert.ok(session.current()?.isLive(clock))
    }),
  )
})

const refusals = fc.array(fc.record({ at: fc.double({ noNaN: true, noDefaultInfinity: true }), secret: fc.string() }))
const keptSession = fc.record(
  {
    grant: fc.constantFrom('password', 'mfa', 'authorization_code', 'refresh_token'),
    since: fc.double({ noNaN: true, noDefaultInfinity: true }),
    accessToken: fc.string({ minLength: 1 }),
    refreshToken: fc.string({ minLength: 1 }),
    life: fc.double({ noNaN: true, noDefaultInfinity: true }),
    sentAt: fc.double({ noNaN: true, noDefaultInfinity: true }),
  },
  { requiredKeys: ['grant', 'since', 'accessToken', 'life', 'sentAt'] },
)
const wellFormed = fc.record(
  {
    version: fc.constant(1),
    memory: fc.record({
      refusedSecrets: refusals,
      refusedCodes: refusals,
      lastStep: fc.double({ noNaN: true, noDefaultInfinity: true }),
    }),
    session: keptSession,
  },
  { requiredKeys: ['version', 'memory'] },
)

test('whatever numbers and texts a well-formed kept session holds, it leads to a live session', async () => {
  await fc.assert(
    fc.asyncProperty(wellFormed, async value => {
      const { session, appliance, failures, clock } = await signedIn({ keep: new FakeKeep(value) })
      await clock.advance(SECOND)
      assert.deepEqual(failures(), [])
      assert.ok(session.current()?.isLive(clock))
      assert.ok(!appliance.grants.includes('mfa'))
    }),
  )
})

test('kept cookies that are damaged do not stop the start: it signs in at once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async cookies => {
      const session = { grant: 'password', since: 0, accessToken: 'a', life: 1000, sentAt: 0, cookies }
      const memory = { refusedSecrets: [], refusedCodes: [], lastStep: -1 }
      const { appliance, failures } = await signedIn({ keep: new FakeKeep({ version: 1, memory, session }) })
      assert.deepEqual([appliance.grants, failures()], [['password'], []])
    }),
  )
})

test('a keep that cannot be read does not stop the start: it signs in at once', async () => {
  const keep = new FakeKeep()
  keep.load = () => Promise.reject(new Error('input/output error'))
  const { appliance, failures } = await signedIn({ keep })
  assert.deepEqual([appliance.grants, failures()], [['password'], []])
})
