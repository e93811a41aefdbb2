import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { CallerConfiguration } from '../src/config/callers.ts'
import { Placeholders } from '../src/proxy/placeholder.ts'
import { systemClock } from '../src/session/clock.ts'
import { simulatorRoot } from '../src/simulator/index.ts'
import { type Call, call, get, type Reply } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { assertPlaceholders, live, signIn, tokenPaths } from './emulated.ts'
import { applianceAt, secret, simulate, startBox, startProxy } from './rig.ts'

const KEY = 'a-caller-secret-of-some-length'
const path = `/box${simulatorRoot.azure}/echo`
const HOUR = 3_600_000
const DAY = 24 * HOUR

function caller(name: string, key: string): CallerConfiguration {
  return { name, secret: secret(key), rule: {}, admin: false }
}

const reader = caller('rea.der-1', KEY)
const other = caller('other', `${KEY}-of-another`)

function enter(url: string, { name }: CallerConfiguration = reader, key = KEY): Promise<Reply> {
  const body = new URLSearchParams({ grant_type: 'password', username: name, password: key }).toString()
  return signIn(url, { path: tokenPaths.azure, body })
}

function renew(url: string, token: unknown): Promise<Reply> {
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: String(token) }).toString()
  return signIn(url, { path: tokenPaths.azure, body })
}

function withToken(url: string, token: unknown, more: Partial<Call> = {}): Promise<Reply> {
  return call(url, { path, fields: { authorization: `Bearer ${token}` }, ...more })
}

/** A proxy with callers, whose clock and whose callers the test can change. */
async function start(t: TestContext, callers: readonly CallerConfiguration[] = [reader, other]) {
  const now = { shift: 0, callers }
  const clock = { ...systemClock, wall: () => Date.now() + now.shift }
  const { server, ...box } = await startBox(
    t,
    { product: 'azure' },
    {},
    {
      guard: { callers },
      clock,
      load: async () => {
        const { configuration } = server
        return { ...configuration, guard: { ...configuration.guard, callers: now.callers } }
      },
    },
  )
  await live(box.url)
  return { server, now, ...box }
}

test('whatever a caller sends as Authorization, the appliance sees the token of the session', async t => {
  const { url, simulator } = await startBox(t, { product: 'azure' })
  await live(url)
  const { json } = await signIn(url, { path: tokenPaths.azure })
  const jwt = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"exp":1}').toString('base64url')}.`
  for (const authorization of [
    undefined,
    '',
    'Bearer null',
    'Bearer ',
    'Bearer undefined',
    `Bearer ${json.get('access_token')}`,
    `bearer ${json.get('refresh_token')}`,
    `Bearer ${jwt}`,
    `Basic ${Buffer.from('DOMAIN\\user:password').toString('base64')}`,
    'Digest username="a", realm="b"',
    'nonsense',
  ]) {
    const seen = await get(url, path, authorization === undefined ? {} : { authorization })
    assert.equal(seen.status, 200, authorization)
    const raw = seen.json.get('rawHeaders')
    const fields: unknown[] = Array.isArray(raw) ? raw : []
    const sent = fields.filter((_, i) => fields[i - 1] === 'authorization')
    assert.equal(sent.length, 1, authorization)
    assert.match(String(sent[0]), /^Bearer eyJ/)
    assert.ok(authorization === undefined || authorization === '' || sent[0] !== authorization)
    assert.ok(!seen.text.includes('veeam-auth-proxy.access') && !seen.text.includes('veeam-auth-proxy.refresh'))
  }
  assert.equal(simulator.counts.unauthorized, 0)
})

test('a placeholder tells nothing but who has it and until when, and no two are the same', async t => {
  const { url, server } = await start(t)
  const replies = await Promise.all([enter(url), enter(url), enter(url, other, `${KEY}-of-another`)])
  for (const reply of replies) assertPlaceholders(reply)
  const live = server.appliances.get('box')?.session.current()
  assert.ok(live)
  const all = replies.map(({ text }) => text).join()
  for (const hidden of [live.accessToken, live.refreshToken ?? '', live.accessToken.slice(-40), KEY]) {
    assert.ok(hidden !== '' && !all.includes(hidden))
  }
  const anonymous = new Placeholders(Date.now)
  const pairs = Array.from({ length: 50 }, () => anonymous.pair())
  assert.equal(new Set(pairs.flatMap(({ access, refresh }) => [access, refresh])).size, 100)
})

test('where callers are set a placeholder is the proof of its caller, with the rules of that caller', async t => {
  const limited = { ...reader, rule: { readOnly: true } }
  const { url } = await start(t, [limited, other])
  const { json } = await enter(url)
  const token = json.get('access_token')
  assert.equal((await withToken(url, token)).status, 200)
  const post = await withToken(url, token, { method: 'POST', body: '{}' })
  assert.deepEqual([post.status, post.json.get('code')], [403, 'METHOD_DENIED'])
  const verb = await withToken(url, token, { method: 'POST', path: '/-/reload' })
  assert.equal(verb.json.get('code'), 'ADMIN_WANTED')
  const renewed = await renew(url, json.get('refresh_token'))
  assertPlaceholders(renewed)
  assert.equal((await withToken(url, renewed.json.get('access_token'))).status, 200)
})

test('a placeholder is taken where a token stands, and nowhere else', async t => {
  const { url } = await start(t)
  const { json } = await enter(url)
  const token = String(json.get('access_token'))
  for (const fields of [
    { 'x-proxy-key': token },
    { authorization: token },
    { authorization: `Basic ${Buffer.from(`rea.der-1:${token}`).toString('base64')}` },
    { authorization: `Bearer ${json.get('refresh_token')}` },
    { cookie: `access_token=${token}` },
  ]) {
    assert.equal((await get(url, path, fields)).status, 401, JSON.stringify(fields))
  }
  assert.equal((await renew(url, token)).status, 401)
})

test('a placeholder that was changed in any part is none', async t => {
  const { url } = await start(t)
  const token = String((await enter(url)).json.get('access_token'))
  const [head = '', kind = '', expiry = '', mac = '', ...name] = token.split('.')
  const own = name.join('.')
  const last = mac.at(0) === 'A' ? 'B' : 'A'
  const later = (Number.parseInt(expiry, 36) + 3600).toString(36)
  const forged = [
    [head, kind, later, mac, own],
    [head, kind, expiry, last + mac.slice(1), own],
    [head, kind, expiry, mac, 'other'],
    [head, kind, expiry, mac.slice(1), own],
    [head, kind, expiry, mac, ''],
    [head, 'refresh', expiry, mac, own],
    [head, kind, expiry, 'A'.repeat(43), own],
  ].map(parts => parts.join('.'))
  const { access } = new Placeholders(Date.now).pair({ name: 'rea.der-1', digest: Buffer.alloc(32) })
  for (const token of [...forged, access]) {
    const { status, json } = await withToken(url, token)
    assert.deepEqual([status, json.get('code')], [401, 'CALLER_UNKNOWN'], token)
  }
  assert.equal((await withToken(url, token)).status, 200)
})

test('a placeholder that has expired gets 401 however often it is sent, and can be renewed', async t => {
  const { url, now } = await start(t)
  const { json } = await enter(url)
  now.shift = HOUR
  assert.equal((await withToken(url, json.get('access_token'))).status, 200, 'a little longer than told')
  now.shift = HOUR + 301_000
  for (let i = 0; i < 15; i += 1) {
    const reply = await withToken(url, json.get('access_token'))
    assert.equal(reply.status, 401)
    assert.match(String(reply.json.get('detail')), /has expired/)
  }
  const renewed = await renew(url, json.get('refresh_token'))
  assertPlaceholders(renewed)
  assert.equal((await withToken(url, renewed.json.get('access_token'))).status, 200)
  now.shift = 15 * DAY
  assert.equal((await renew(url, json.get('refresh_token'))).status, 401)
})

test('placeholders of a caller that was removed, or that has a new secret, are good no longer; others are', async t => {
  const { url, server, now } = await start(t)
  const first = await enter(url)
  const second = await enter(url, other, `${KEY}-of-another`)
  const status = async (reply: Reply) => (await withToken(url, reply.json.get('access_token'))).status
  assert.deepEqual([await status(first), await status(second)], [200, 200])
  now.callers = [caller('rea.der-1', `${KEY}-which-is-new`), other]
  await server.reload()
  assert.deepEqual([await status(first), await status(second)], [401, 200])
  assert.equal((await renew(url, first.json.get('refresh_token'))).status, 401)
  assertPlaceholders(await enter(url, reader, `${KEY}-which-is-new`))
  now.callers = [reader]
  await server.reload()
  assert.deepEqual([await status(first), await status(second)], [200, 401])
})

test('a placeholder from when everybody could call is worth nothing once callers are set', async t => {
  const { url, server, now } = await start(t, [])
  const { json } = await signIn(url, { path: tokenPaths.azure })
  now.callers = [reader]
  await server.reload()
  assert.equal((await withToken(url, json.get('access_token'))).status, 401)
  assert.equal((await renew(url, json.get('refresh_token'))).status, 401)
})

test('placeholders outlive a restart where there is a state directory, and end with the process where there is none', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const directory = join(temporaryFolder(t).path, 'state')
  const state = { directory, key: secret('a state key for tests, 32 letters') }
  const run = (parts: object) =>
    startProxy(t, [applianceAt(simulator, 'azure')], { guard: { callers: [reader, other] }, ...parts })
  for (const [parts, status] of [
    [{ state }, 200],
    [{}, 401],
  ] as const) {
    const first = await run(parts)
    await live(first.url)
    const { json } = await enter(first.url)
    await first.server.close(1000)
    const second = await run(parts)
    await live(second.url)
    assert.equal((await withToken(second.url, json.get('access_token'))).status, status)
    assert.equal((await renew(second.url, json.get('refresh_token'))).status, status)
    await second.server.close(1000)
  }
})

test('the answer to a sign-in outlives a restart too', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const directory = join(temporaryFolder(t).path, 'state')
  const state = { directory, key: secret('a state key for tests, 32 letters') }
  const answers: Reply[] = []
  for (let i = 0; i < 2; i += 1) {
    const { url, server } = await startProxy(t, [applianceAt(simulator, 'azure')], { state })
    await live(url)
    answers.push(await signIn(url, { path: tokenPaths.azure }))
    await server.close(1000)
  }
  const [before, after] = answers
  assert.ok(before && after)
  assert.equal(after.json.get('roleName'), 'Administrator')
  assert.deepEqual([...after.json.keys()], [...before.json.keys()])
  assert.equal(simulator.counts.tokenRequests, 1)
})
