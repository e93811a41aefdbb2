import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CallerConfiguration } from '../src/config/callers.ts'
import { readConfiguration } from '../src/config/configuration.ts'
import { compilePaths } from '../src/policy/path-rules.ts'
import { counted, startCached, status } from './cache-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { type Context, secret } from './rig.ts'

const MISS = 'fwd=uri-miss; stored'

const callers: readonly CallerConfiguration[] = [
  { name: 'one', rule: {}, rights: 'all' },
  { name: 'like-one', rule: {}, rights: 'all' },
  { name: 'reader', rule: { readOnly: true }, rights: 'read' },
  { name: 'narrow', rule: { paths: compilePaths(['/y']) }, rights: 'narrow' },
  { name: 'elsewhere', rule: {}, appliances: ['other'], rights: 'elsewhere' },
  { name: 'unknown', rule: {} },
  { name: 'like-unknown', rule: {} },
].map(caller => ({ ...caller, admin: false, secret: secret(`the-secret-of-${caller.name}`) }))

async function start(t: Context) {
  const box = await startCached(t, { resource: counted({ 'x-trace': 'seen' }), parts: { guard: { callers } } })
  const as = (name: string, path = '/box/x', method = 'GET') =>
    box.ask({ 'x-proxy-key': `the-secret-of-${name}` }, path, { method })
  return { ...box, as }
}

test('callers with the same rights share what is kept, and those with others do not', async t => {
  const { as, count } = await start(t)
  assert.equal(status(await as('one')), MISS)
  assert.match(status(await as('like-one')), /^hit/)
  assert.equal(status(await as('reader')), MISS)
  assert.match(status(await as('reader')), /^hit/)
  assert.equal(status(await as('unknown')), MISS)
  assert.equal(status(await as('like-unknown')), MISS)
  assert.equal(count(), 4)
})

test('a caller gets nothing from the cache that its rules keep from it, and neither does who is no caller', async t => {
  const { as, ask, count } = await start(t)
  await as('one')
  const denied = async (reply: ReturnType<typeof as>, code: string) =>
    assert.equal((await reply).json.get('code'), code)
  await denied(as('narrow'), 'PATH_DENIED')
  assert.equal((await as('narrow', '/box/x', 'HEAD')).status, 403)
  await denied(as('elsewhere'), 'APPLIANCE_DENIED')
  await denied(ask(), 'CALLER_UNKNOWN')
  await denied(ask({ 'x-proxy-key': 'the-secret-of-nobody', 'cache-control': 'only-if-cached' }), 'CALLER_UNKNOWN')
  assert.equal((await as('narrow', '/box/y')).status, 200)
  assert.equal(count(), 2)
})

test('what may be done at the appliance is asked of each request, also when the answer is kept', async t => {
  const { ask } = await startCached(t, {
    overrides: { access: { rule: { paths: compilePaths(['/x']) }, credentials: false } },
  })
  await ask()
  assert.match(status(await ask()), /^hit/)
  assert.equal((await ask({}, '/box/z')).json.get('code'), 'PATH_DENIED')
})

describe('callers of a configuration have the same rights', () => {
  const rows: { what: string; one: string; other: string; same: boolean }[] = [
    { what: 'whatever they prove themselves with', one: '', other: 'admin: true', same: true },
    { what: 'in whatever order they are listed', one: 'paths: [/a, /b]', other: 'paths: [/b, /a]', same: true },
    { what: 'with a default that is written out', one: '', other: 'readOnly: false', same: true },
    { what: 'but not with readOnly', one: '', other: 'readOnly: true', same: false },
    { what: 'but not with other methods', one: 'methods: [GET]', other: 'methods: [GET, POST]', same: false },
    { what: 'but not with other paths', one: 'paths: [/a]', other: 'paths: [/a, /b]', same: false },
    { what: 'but not with other appliances', one: '', other: 'appliances: [box]', same: false },
    { what: 'but not with a path in the place of a method', one: 'methods: [A]', other: 'paths: [/A]', same: false },
  ]
  for (const { what, one, other, same } of rows) {
    test(what, async t => {
      const folder = temporaryFolder(t)
      const entry = (name: string, rest: string) =>
        `  - { name: ${name}, secret: 'sixteen characters of ${name}'${rest === '' ? '' : `, ${rest}`} }\n`
      const appliance = '  box: { product: azure, url: https://a, credentials: { username: a, password: b } }\n'
      const text = `callers:\n${entry('one', one)}${entry('other', other)}appliances:\n${appliance}`
      const { guard } = await readConfiguration(folder.write('appliances.yaml', text), {})
      const [first, second] = guard.callers
      assert.ok(first?.rights !== undefined && second?.rights !== undefined)
      assert.equal(first.rights === second.rights, same)
    })
  }
})

test('a page of another origin gets leave of its own to read what is kept', async t => {
  const allowedOrigins = ['https://one.example', 'https://other.example']
  const { ask, count } = await startCached(t, { parts: { guard: { allowedOrigins } } })
  for (const origin of [...allowedOrigins, undefined]) {
    const { fields } = await ask(origin === undefined ? {} : { origin })
    assert.equal(fields['access-control-allow-origin'], origin)
  }
  assert.equal((await ask({ origin: 'https://third.example' })).status, 403)
  assert.equal(count(), 1)
})

test('no secret of the session, of a caller or of the appliance is in what is kept', async t => {
  const { as, server } = await start(t)
  await as('one')
  const reply = await as('like-one')
  const token = server.appliances.get('box')?.session.current()?.accessToken ?? assert.fail('no session')
  const text = `${reply.raw.join('\n')}${reply.text}`
  for (const hidden of [token, 'the-secret-of-one', 'the-secret-of-like-one']) assert.ok(!text.includes(hidden))
  assert.match(text, /x-trace\nseen/)
})
