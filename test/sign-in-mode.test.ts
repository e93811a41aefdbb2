import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { openGuard } from '../src/config/configuration.ts'
import { loadConfiguration } from '../src/config/load.ts'
import { Guard } from '../src/proxy/guard.ts'
import { Placeholders } from '../src/proxy/placeholder.ts'
import { emulatedIn } from '../src/proxy/sign-in.ts'
import { defaultPassword, defaultUsername } from '../src/simulator/index.ts'
import { call } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { assertPlaceholders, FORM, live, messageIn, signIn, tokenPaths, unheard } from './emulated.ts'
import { secret, startBox } from './rig.ts'

const forwarding = { access: { rule: {}, credentials: true } }
const credentials = new URLSearchParams({
  username: defaultUsername,
  password: defaultPassword,
  grant_type: 'Password',
})

test('a denied sign-in is 403 CREDENTIALS_WITHHELD, and says how to allow it', async t => {
  const { url, simulator } = await startBox(t, { product: 'azure' }, { signIn: 'deny' })
  await live(url)
  for (const method of ['POST', 'DELETE']) {
    const { status, json } = await unheard(simulator, () => call(url, { method, path: '/box/api/oauth2/token' }))
    assert.deepEqual([status, json.get('code')], [403, 'CREDENTIALS_WITHHELD'])
    assert.match(String(json.get('remedy')), /signIn: emulate/)
  }
})

test('allow: [credentials] forwards sign-ins, with signIn: forward or without it', async t => {
  for (const mode of [{}, { signIn: 'forward' }] as const) {
    const { url, simulator } = await startBox(t, { product: 'azure' }, { ...forwarding, ...mode })
    await live(url)
    const reply = await signIn(url, { path: tokenPaths.azure, body: credentials.toString() })
    assert.equal(reply.status, 200)
    assert.match(String(reply.json.get('access_token')), /^eyJ/)
    assert.equal(simulator.counts.signIns, 2)
  }
})

test('allow: [credentials] with signIn: emulate forwards other paths only, with deny no sign-in either', async t => {
  for (const mode of ['emulate', 'deny'] as const) {
    const { url, simulator } = await startBox(t, { product: 'azure' }, { ...forwarding, signIn: mode })
    await live(url)
    const reply = await unheard(simulator, () => signIn(url, { path: tokenPaths.azure }))
    if (mode === 'emulate') assertPlaceholders(reply)
    else assert.equal(reply.json.get('code'), 'CREDENTIALS_WITHHELD')
    const code = await unheard(simulator, () => signIn(url, { path: '/api/v1/authorization_code' }))
    assert.equal(code.status, 403)
    if (mode === 'emulate') messageIn('azure', code)
    const before = simulator.counts.requests
    const other = await call(url, { method: 'POST', path: '/box/api/v8.1/users/1/enableMfa' })
    assert.equal(other.status, 404, 'the appliance has no such user')
    assert.equal(simulator.counts.requests, before + 1)
  }
})

test('an emulating appliance keeps back what else hands out credentials', async t => {
  const { url, simulator } = await startBox(t, { product: 'azure' }, { signIn: 'emulate' })
  await live(url)
  for (const [method, path] of [
    ['GET', '/api/oauth2/token'],
    ['PUT', '/api/oauth2/token'],
    ['POST', '/api/oauth2/authorize'],
    ['POST', '/api/oauth2/logout'],
    ['POST', '/api/v8.1/users/1/enableMfa'],
    ['POST', '/connect/token'],
  ] as const) {
    const reply = await unheard(simulator, () => call(url, { method, path: `/box${path}` }))
    assert.deepEqual([reply.status, reply.json.get('code')], [403, 'CREDENTIALS_WITHHELD'], path)
  }
})

test('unless told, sign-ins are emulated on the loopback and Unix sockets, and elsewhere where callers are set', async t => {
  const { server } = await startBox(t, { product: 'azure' })
  const appliance = server.appliances.get('box') ?? assert.fail()
  const open = (callers: (typeof openGuard)['callers']) =>
    Guard.open({ ...openGuard, callers }, ['box'], new Placeholders(Date.now))
  const [anybody, known] = await Promise.all([
    open([]),
    open([{ name: 'a', secret: secret('a secret of 24 letters..'), rule: {}, admin: false }]),
  ])
  const act = (localAddress: string | undefined, guard: Guard) => {
    const socket = Object.defineProperty(new Socket(), 'localAddress', { value: localAddress })
    const request = Object.assign(new IncomingMessage(socket), { method: 'POST', url: '/x' })
    return emulatedIn(appliance, request, tokenPaths.azure, guard)?.act
  }
  for (const address of ['127.0.0.1', '127.8.0.1', '::1', '::ffff:127.0.0.1', undefined]) {
    assert.equal(act(address, anybody), 'sign-in', address)
  }
  for (const address of ['192.0.2.1', '::', '::ffff:192.0.2.1', '2001:db8::1', '0.0.0.0']) {
    assert.equal(act(address, anybody), undefined, address)
    assert.equal(act(address, known), 'sign-in', address)
  }
})

async function loaded(t: TestContext, more: string) {
  const folder = temporaryFolder(t)
  const entry = `product: azure\n    url: https://a.example\n    credentials: { username: a, password: 'b c d e f g' }`
  folder.write('appliances.yaml', `appliances:\n  one:\n    ${entry}\n    ${more}\n`)
  const { appliances } = await loadConfiguration({}, {}, folder.path)
  return appliances[0]
}

test('signIn is one of three words, and forward stands only beside allow: [credentials]', async t => {
  for (const mode of ['emulate', 'deny'] as const) assert.equal((await loaded(t, `signIn: ${mode}`))?.signIn, mode)
  assert.equal((await loaded(t, 'signIn: forward\n    allow: [credentials]'))?.signIn, 'forward')
  assert.equal((await loaded(t, 'readOnly: true'))?.signIn, undefined)
  await assert.rejects(loaded(t, 'signIn: forward'), /6:\d+.*signIn.*allow does not say.*Add allow: \[credentials\]/s)
  await assert.rejects(loaded(t, 'signIn: emulat'), /Did you mean "emulate"/)
})

test('a new signIn counts from the next request on, and the session stays', async t => {
  const mode: { signIn: 'deny' | 'emulate' } = { signIn: 'deny' }
  const { server, url, simulator } = await startBox(t, { product: 'azure' }, mode, {
    load: async () => {
      const { configuration } = server
      return { ...configuration, appliances: configuration.appliances.map(one => ({ ...one, ...mode })) }
    },
  })
  await live(url)
  assert.equal((await signIn(url, { path: tokenPaths.azure })).status, 403)
  mode.signIn = 'emulate'
  await server.reload()
  assertPlaceholders(await unheard(simulator, () => signIn(url, { path: tokenPaths.azure, type: FORM })))
})
