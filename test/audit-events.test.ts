import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { compilePaths } from '../src/policy/path-rules.ts'
import { parameterNamesOf, pathOf } from '../src/proxy/shown-path.ts'
import { defaultPassword, type SimulatorOptions } from '../src/simulator/index.ts'
import { call, get, giveCode, statusOf } from './caller.ts'
import { entryOf, spawnCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, secret, simulate, startBox } from './rig.ts'

type Line = Record<string, unknown>

function linesOf(file: string): Line[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

async function start(
  t: TestContext,
  options: Partial<SimulatorOptions> = {},
  parts: Parameters<typeof startBox>[3] = {},
) {
  const audit = join(temporaryFolder(t).path, 'audit.log')
  const box = await startBox(t, { product: 'azure', ...options }, {}, { audit, ...parts })
  const events = (name: string) => linesOf(audit).filter(line => line.event === name)
  return { ...box, audit, events }
}

/** The members of lines that matter to a test. */
const only = (lines: readonly Line[], ...names: string[]) => lines.map(line => names.map(name => line[name]))

describe('the audit log', { concurrency: 6 }, () => {
  test('has every sign-in, accepted or not, every renewal and the sign-out at the end', async t => {
    const { server, simulator, events, url } = await start(t, { tokenLife: 2 })
    await eventually('renewals', () => simulator.counts.refreshes >= 2)
    simulator.setPassword('changed')
    simulator.revoke('all')
    await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
    simulator.setPassword(defaultPassword)
    await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
    await server.close(500)
    const signIns = only(events('sign-in'), 'appliance', 'grant', 'accepted')
    assert.deepEqual(signIns[0], ['box', 'password', true])
    assert.ok(signIns.some(([, , accepted]) => accepted === false))
    assert.ok(events('sign-in').some(({ failure }) => failure === 'SIGN_IN_REFUSED'))
    assert.ok(only(events('renewal'), 'appliance', 'grant', 'accepted').length >= 2)
    assert.deepEqual(only(events('sign-out'), 'appliance'), [['box']])
  })

  test('has every code that a person gives, refused or accepted, with who gave it', async t => {
    const totpSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
    const key = 'the-secret-of-the-operator'
    const callers = [{ name: 'operator', secret: secret(key), rule: {}, admin: true }]
    const { url, events, audit } = await start(t, { totpSecret }, { guard: { callers } })
    const give = (code: string) => {
      const fields = { 'x-proxy-key': key, 'content-type': 'application/json' }
      return call(url, { method: 'POST', path: '/-/appliances/box/code', fields, body: JSON.stringify({ code }) })
    }
    await eventually('it waits', () => events('sign-in').some(({ failure }) => failure === 'CODE_WANTED'))
    const code = new TOTP({ secret: Secret.fromBase32(totpSecret) }).generate()
    assert.equal((await give('000000')).status, 422)
    assert.equal((await give(code)).status, 200)
    assert.equal((await giveCode(url, code)).status, 401)
    await eventually('all are written', () => events('code').length === 3)
    assert.deepEqual(only(events('code'), 'appliance', 'caller', 'accepted'), [
      ['box', 'operator', false],
      ['box', 'operator', true],
      ['box', null, false],
    ])
    assert.ok(events('sign-in').some(({ grant, accepted }) => grant === 'mfa' && accepted === true))
    assert.ok(!readFileSync(audit, 'utf8').includes(code))
  })

  test('has the codes of a form as well, whose answer leads back to the page either way', async t => {
    const totpSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
    const { url, events, lines } = await start(t, { totpSecret })
    const give = (code: string) => {
      const fields = { 'content-type': 'application/x-www-form-urlencoded', 'x-request-id': `code-${code}` }
      return call(url, { method: 'POST', path: '/-/appliances/box/code', fields, body: `code=${code}` })
    }
    await eventually('it waits', () => events('sign-in').some(({ failure }) => failure === 'CODE_WANTED'))
    const code = new TOTP({ secret: Secret.fromBase32(totpSecret) }).generate()
    assert.equal((await give('000000')).status, 303)
    assert.equal((await give(code)).status, 303)
    await eventually('both are written', () => events('code').length === 2)
    assert.deepEqual(only(events('code'), 'id', 'accepted'), [
      ['code-000000', false],
      [`code-${code}`, true],
    ])
    const logged = () => lines.find(line => line.includes('"code-000000"'))
    await eventually('it is logged', () => logged() !== undefined)
    assert.match(logged() ?? '', /"status":303,.*"failure":"CODE_REFUSED"/)
  })

  test('says of every request that a rule denied it, a path in doubt included, and of all others that they were allowed', async t => {
    const { url, events } = await start(t)
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const decided: [string, Record<string, string>, string][] = [
      ['/box/api/v8.1/policies', {}, 'allowed'],
      ['/box/api/oauth2/token', {}, 'denied: CREDENTIALS_WITHHELD'],
      ['/box/api%2fv8.1', {}, 'denied: BAD_REQUEST'],
      ['/box/x', { origin: 'https://evil.example' }, 'denied: ORIGIN_DENIED'],
      ['/box/x', { host: 'evil.example' }, 'denied: HOST_UNKNOWN'],
    ]
    for (const [path, fields] of decided) await get(url, path, fields)
    const requests = () => events('request').filter(({ path }) => path !== '/-/readyz')
    await eventually('all are written', () => requests().length === decided.length)
    assert.deepEqual(
      only(requests(), 'decision').flat(),
      decided.map(([, , decision]) => decision),
    )
  })

  test('says whose rule denied a request, the one of its caller or the one of the appliance', async t => {
    const key = 'the-secret-of-the-reader'
    const callers = [
      {
        name: 'reader',
        secret: secret(key),
        rule: { readOnly: true, paths: compilePaths(['/a', '/b']) },
        admin: false,
      },
    ]
    const audit = join(temporaryFolder(t).path, 'audit.log')
    const rule = { methods: ['GET', 'POST'], paths: compilePaths(['/a']) }
    const { url } = await startBox(
      t,
      { product: 'azure' },
      { access: { rule, credentials: false } },
      {
        audit,
        guard: { callers },
      },
    )
    const denied: [string, string, string, string | undefined][] = [
      ['POST', '/box/a', 'denied: METHOD_DENIED', 'caller reader'],
      ['PUT', '/box/a', 'denied: METHOD_DENIED', 'appliance box'],
      ['GET', '/box/b', 'denied: PATH_DENIED', 'appliance box'],
      ['GET', '/box/api/oauth2/token', 'denied: CREDENTIALS_WITHHELD', undefined],
      ['GET', '/box/a', 'allowed', undefined],
    ]
    for (const [method, path] of denied) await call(url, { method, path, fields: { 'x-proxy-key': key } })
    const requests = () => linesOf(audit).filter(({ event }) => event === 'request')
    await eventually('all are written', () => requests().length === denied.length)
    assert.deepEqual(
      only(requests(), 'decision', 'rule'),
      denied.map(([, , decision, whose]) => [decision, whose]),
    )
  })

  test('has the names of the parameters of a query, and none of their values', async t => {
    const { url, events, audit } = await start(t)
    const query = 'limit=1&access_token=private-1&filter=name%20eq%20private-2&private-3&=private-4&limit=2&%24top=3'
    await get(url, `/box/x?${query}`)
    await get(url, `/nobody/x?${query}`)
    await get(url, `/-/status?${query}`)
    await eventually('all are written', () => events('request').length === 3)
    const names = 'limit&access_token&filter&*&%24top'
    assert.deepEqual(only(events('request'), 'path', 'query'), [
      ['/x', names],
      ['/nobody/x', names],
      ['/-/status', names],
    ])
    assert.doesNotMatch(readFileSync(audit, 'utf8'), /private/)
  })

  test('that cannot be written ends nothing, holds nothing up, and is complained of once', async t => {
    const folder = temporaryFolder(t)
    const audit = join(folder.path, 'audit.log')
    symlinkSync('/dev/full', audit)
    const faults: unknown[] = []
    const note = (error: unknown) => faults.push(error)
    process.on('uncaughtExceptionMonitor', note)
    t.after(() => process.off('uncaughtExceptionMonitor', note))
    const { url, server, lines } = await startBox(t, { product: 'azure' }, {}, { audit })
    for (let i = 0; i < 20; i++) assert.equal((await get(url, '/-/livez')).status, 200)
    const complaints = () => lines.filter(line => line.includes('the audit log cannot be written'))
    await eventually('a complaint', () => complaints().length > 0)
    assert.equal(complaints().length, 1)
    assert.match(complaints()[0] ?? '', /"level":50.*ENOSPC/)
    renameSync(audit, `${audit}.full`)
    await server.reload()
    await get(url, '/-/livez')
    await eventually('what waited is written', () => existsSync(audit) && linesOf(audit).length >= 20)
    assert.ok(lines.some(line => line.includes('the audit log is written again')))
    renameSync(audit, `${audit}.1`)
    symlinkSync('/dev/full', audit)
    await server.reload()
    await get(url, '/-/livez')
    const began = performance.now()
    await server.close(500)
    assert.ok(performance.now() - began < 10_000)
    assert.deepEqual(faults, [])
  })

  test('goes on in a new file at SIGHUP, even when the configuration is refused then', async t => {
    const simulator = await simulate(t, { product: 'azure' })
    const folder = temporaryFolder(t)
    const audit = join(folder.path, 'audit.log')
    const write = (more: string) =>
      folder.write('appliances.yaml', `audit: audit.log\n${more}appliances:\n${entryOf('box', 'azure', simulator)}`)
    write('')
    const served = spawnCli(t, ['--port', '0'], { cwd: folder.path })
    const [, url = ''] = await served.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
    await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
    write('colour: red\n')
    await served.match(/the old one runs on/)
    renameSync(audit, `${audit}.1`)
    served.child.kill('SIGHUP')
    await eventually(
      'the refused reload is in the new file',
      () => existsSync(audit) && linesOf(audit).some(({ event, accepted }) => event === 'reload' && !accepted),
    )
    write('')
    served.child.kill('SIGHUP')
    await eventually('an accepted one, too', () => linesOf(audit).some(({ accepted }) => accepted === true))
    served.child.kill('SIGTERM')
    assert.equal(await served.ended, 0)
    const whole = linesOf(`${audit}.1`)
    assert.ok(whole.length > 0 && whole.every(({ time }) => typeof time === 'string'))
  })
})

test('of a target the path and the names of its parameters may be written down', () => {
  for (const [target, path, names] of [
    ['/a/b', '/a/b', ''],
    ['/a?', '/a', ''],
    ['/a?b', '/a', '*'],
    ['/a?b=', '/a', 'b'],
    ['/a?b=c?d=e', '/a', 'b'],
    ['/a?eyJhbGciOiJIUzI1NiJ9.e30.x', '/a', '*'],
    [`/a?${'x'.repeat(65)}=1`, '/a', '*'],
    ['/a?a b=1&<c>=2&d[0]=3&e.f=4', '/a', '*&d[0]&e.f'],
    ['?a=1', '', 'a'],
  ] as const) {
    assert.deepEqual([pathOf(target), parameterNamesOf(target)], [path, names], target)
  }
  const many = Array.from({ length: 1000 }, (_, i) => `p${i}=1`).join('&')
  assert.ok(parameterNamesOf(`/a?${many}`).split('&').length <= 32)
})
