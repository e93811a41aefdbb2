import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { Redactor } from '../src/redactor.ts'
import { SessionCookies } from '../src/session/cookies.ts'
import { defaultPassword, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, giveCode, statusOf } from './caller.ts'
import { entryOf, spawnCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { applianceAt, eventually, secret, simulate, startBox, startProxy } from './rig.ts'
import { granted, startScripted } from './scripted-appliance.ts'

const knows = (redactor: Redactor, value: string) => redactor.clean(`said ${value}.`) === 'said [redacted].'

describe('a secret that is replaced', { concurrency: 4 }, () => {
  test('is nowhere among the objects of the process any more, while the one in its place is', async t => {
    const token = (nth: number) => `access-${nth}-of-this-very-test-4711`
    let life = 1
    const scripted = await startScripted(t, {
      token: (_, nth) => ({
        body: { access_token: token(nth), refresh_token: token(nth).replace('access', 'refresh'), expires_in: life },
      }),
    })
    const folder = temporaryFolder(t)
    const { fingerprint } = await simulate(t, { product: 'azure' })
    const own = 'the-secret-of-the-caller-who-asks'
    folder.write('idle', 'the-secret-of-the-caller-who-does-not')
    const callers = `callers:\n  - { name: a, secret: ${own} }\n  - { name: b, secret: { file: idle } }\n`
    const entry = entryOf('box', 'azure', { url: scripted.url, fingerprint })
    folder.write('appliances.yaml', `${callers}appliances:\n${entry}`)
    const NODE_OPTIONS = '--heapsnapshot-signal=SIGUSR2'
    const served = spawnCli(t, ['--port', '0', '--config', join(folder.path, 'appliances.yaml')], {
      cwd: folder.path,
      env: { NODE_OPTIONS },
    })
    const [, url = ''] = await served.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
    await eventually('renewals', () => scripted.tokenRequests.length >= 3)
    life = 3600
    const seen = scripted.tokenRequests.length
    await eventually('one more renewal', () => scripted.tokenRequests.length > seen)
    for (let i = 0; i < 3; i++) assert.equal((await get(url, '/box/x', { 'x-proxy-key': own })).status, 200)
    const current = scripted.tokenRequests.length
    served.child.kill('SIGUSR2')
    const snapshot = () => readdirSync(folder.path).find(name => name.endsWith('.heapsnapshot'))
    await eventually('a snapshot', () => snapshot() !== undefined, 60_000)
    // The process answers nothing else while it writes.
    assert.equal((await get(url, '/-/livez')).status, 200)
    const heap = readFileSync(join(folder.path, snapshot() ?? ''), 'latin1')
    const found = Array.from({ length: current }, (_, i) => i + 1).filter(nth => heap.includes(token(nth)))
    assert.deepEqual(found, [current])
    assert.ok(current > 3)
    assert.ok(heap.includes(own), 'what stands in the configuration is an object of the process')
    assert.ok(!heap.includes('the-secret-of-the-caller-who-does-not'), 'of a file the hash alone is held')
  })

  test('is known to the redactor no more, and the number of those that are stays the same', async t => {
    const { url, redactor, simulator } = await startBox(t, { product: 'microsoft365' })
    await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
    const renew = () => call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
    const path = `/box${simulatorRoot.microsoft365}/status/200`
    assert.equal((await renew()).status, 200)
    const { size } = redactor
    assert.ok(size >= 3)
    for (let i = 0; i < 10; i++) {
      assert.equal((await renew()).status, 200)
      assert.equal((await get(url, path)).status, 200)
    }
    assert.equal(redactor.size, size)
    assert.ok(simulator.counts.refreshes >= 11)
  })

  test('as a cookie by an answer is known to the redactor from then on, and the one before it no more', async t => {
    let nth = 0
    const scripted = await startScripted(t, {
      token: (_, n) => ({ ...granted(n), fields: { 'set-cookie': 'session=cookie-value-0; path=/' } }),
      resource(_, response) {
        nth += 1
        response.writeHead(200, { 'set-cookie': `session=cookie-value-${nth}; path=/` })
        response.end('{}')
      },
    })
    const { url, redactor } = await startProxy(t, [applianceAt(scripted, 'microsoft365')])
    await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
    for (let i = 1; i <= 5; i++) {
      assert.ok(knows(redactor, `cookie-value-${i - 1}`))
      await get(url, '/box/x')
      assert.ok(knows(redactor, `cookie-value-${i}`))
      assert.ok(!knows(redactor, `cookie-value-${i - 1}`))
    }
  })

  test('or spent, a code or password, is known to the redactor as long as it is of use', async t => {
    const totpSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
    const { url, redactor } = await startBox(t, { product: 'google-cloud', totpSecret })
    await eventually('waiting', async () => (await statusOf(url)).get('state') === 'waiting')
    assert.ok(knows(redactor, defaultPassword))
    const code = new TOTP({ secret: Secret.fromBase32(totpSecret) }).generate()
    assert.equal((await giveCode(url, '000000')).status, 422)
    assert.equal((await giveCode(url, code)).status, 200)
    for (const spent of ['000000', code]) assert.ok(!knows(redactor, spent), 'numbers in a log are numbers again')
    // Its password, its access token and its refresh token.
    assert.equal(redactor.size, 3)
  })

  test('by another password is forgotten once that one serves', async t => {
    let password = 'the-first-password'
    const credentials = { type: 'password' as const, username: 'Administrator', password: secret('') }
    Object.defineProperty(credentials.password, 'reveal', { value: async () => password })
    const { url, redactor, simulator } = await startBox(t, { product: 'azure', password }, { credentials })
    await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
    assert.ok(knows(redactor, 'the-first-password'))
    password = 'the-second-password'
    simulator.setPassword(password)
    simulator.revoke('all')
    assert.equal((await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })).status, 200)
    assert.deepEqual([knows(redactor, 'the-first-password'), knows(redactor, 'the-second-password')], [false, true])
  })

  test('with its appliance goes with it, unless another appliance has the same', async t => {
    const simulators = [await simulate(t, { product: 'azure' }), await simulate(t, { product: 'azure' })]
    const both = simulators.map((simulator, i) => ({ ...applianceAt(simulator, 'azure'), name: `box-${i}` }))
    const { server, url, redactor } = await startProxy(t, both)
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    assert.equal(redactor.size, 5)
    // The rig loads the same configuration again, whose list is ours.
    both.pop()
    await server.reload()
    await eventually('it has left', () => redactor.size === 3)
    assert.ok(knows(redactor, defaultPassword))
    await server.close(500)
    assert.equal(redactor.size, 0)
  })
})

test('a secret of two owners is known until both have let go of it', () => {
  const redactor = new Redactor()
  const [one, other] = [redactor.holding(), redactor.holding()]
  one.hold(['shared-secret', 'first-secret', 'first-secret'])
  other.hold(['shared-secret'])
  one.hold(['second-secret'])
  assert.deepEqual(
    ['shared-secret', 'first-secret', 'second-secret'].map(value => knows(redactor, value)),
    [true, false, true],
  )
  other.hold([])
  one.hold([])
  assert.equal(redactor.size, 0)
  redactor.forget('never-known')
  assert.equal(redactor.size, 0)
})

test('an appliance that sets cookies without end has no more than some of them kept, none too long', () => {
  const cookies = new SessionCookies('https://box.example')
  for (let i = 0; i < 1000; i++) cookies.take(`n${i}=${i}; path=/`, '/')
  cookies.take(['n5=changed; path=/', `long=${'x'.repeat(5000)}; path=/`, 'late=1; path=/'], '/')
  assert.equal(cookies.values().length, 64)
  assert.deepEqual(
    [cookies.value('n5', '/'), cookies.value('long', '/'), cookies.value('late', '/')],
    ['changed', undefined, undefined],
  )
})
