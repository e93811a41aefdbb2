import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { compilePaths } from '../src/policy/path-rules.ts'
import { simulatedProducts, simulatorRoot } from '../src/simulator/index.ts'
import { call, get } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { assertPlaceholders, FORM, live, messageIn, signIn, tokenPaths, unheard } from './emulated.ts'
import { eventually, type Overrides, secret, startBox } from './rig.ts'

// As `openssl rand -base64 24` makes them: with what a form that nobody encodes loses.
const KEY = 'Tc+5/zQ1+Vb9uJ0pX==r4/sK'
const OTHER = 'another-secret-of-24-letters'
const callers = [
  { name: 'grafana', secret: secret(KEY), rule: { readOnly: true, paths: compilePaths(['/none/**']) }, admin: false },
  { name: 'elsewhere', secret: secret(OTHER), rule: {}, appliances: ['other'], admin: false },
  { name: 'card', certificate: 'AB:CD', rule: {}, admin: false },
]

function start(t: TestContext, product: (typeof simulatedProducts)[number] = 'azure', overrides: Overrides = {}) {
  return startBox(t, { product }, overrides, { guard: { callers } })
}

function encoded(username: string, password: string): string {
  return new URLSearchParams({ grant_type: 'password', username, password }).toString()
}

for (const product of simulatedProducts) {
  test(`where callers are set, one signs in at ${product} with its name and secret, and needs no other proof`, async t => {
    const { url, simulator } = await start(t, product)
    await live(url)
    const path = tokenPaths[product]
    for (const [body, type = FORM] of [
      [encoded('grafana', KEY)],
      [`grant_type=password&username=grafana&password=${KEY}`],
      [`Username=grafana&Password=${KEY}&refresh_token=&grant_type=Password&mfa_token=&mfa_code=`],
      [JSON.stringify({ grant_type: 'Password', UserName: 'grafana', password: KEY }), 'application/json'],
    ]) {
      assertPlaceholders(await unheard(simulator, () => signIn(url, { path, body: body ?? '', type })))
    }
  })

  test(`where callers are set, nobody else signs in at ${product}, and a tool prints why`, async t => {
    const { url, simulator } = await start(t, product)
    await live(url)
    const path = tokenPaths[product]
    for (const body of [
      encoded('grafana', OTHER),
      encoded('elsewhere', KEY),
      encoded('Administrator', 'x'),
      encoded('', ''),
      encoded('card', 'AB:CD'),
      encoded('-', ''),
      '',
      'grant_type=refresh_token&refresh_token=anything',
      `grant_type=refresh_token&refresh_token=${encodeURIComponent(KEY)}`,
    ]) {
      const reply = await unheard(simulator, () => signIn(url, { path, body }))
      assert.equal(reply.status, 401, body)
      assert.match(messageIn(product, reply), /configured caller/)
      assert.equal(reply.json.get('error'), 'invalid_grant')
    }
  })
}

test('failed sign-ins are counted with all failed attempts, and a good one is taken at any time', async t => {
  const { url } = await start(t)
  await live(url)
  const statuses: number[] = []
  for (let i = 0; i < 6; i += 1) {
    statuses.push((await signIn(url, { path: tokenPaths.azure, body: encoded('grafana', `wrong ${i}`) })).status)
    statuses.push((await get(url, '/box/x', { 'x-proxy-key': `wrong ${i}` })).status)
  }
  assert.deepEqual(statuses, [...Array(10).fill(401), 429, 429])
  const refused = await signIn(url, { path: tokenPaths.azure })
  assert.equal(refused.status, 429)
  assert.ok(Number(refused.fields['retry-after']) > 0)
  messageIn('azure', refused)
  assertPlaceholders(await signIn(url, { path: tokenPaths.azure, body: encoded('grafana', KEY) }))
})

test('nothing but a sign-in is let in without proof where callers are set', async t => {
  const { url, simulator } = await start(t)
  await live(url)
  for (const [method, path] of [
    ['GET', '/box/api/oauth2/token'],
    ['DELETE', '/box/api/oauth2/token'],
    ['PUT', '/box/api/oauth2/token'],
    ['OPTIONS', '/box/api/oauth2/token'],
    ['POST', '/box/api/oauth2/authorization_code'],
    ['POST', '/box/api/oauth2/logout'],
    ['POST', '/box/api/oauth2/token/x'],
    ['POST', '/box/api/oauth2%2ftoken'],
    ['POST', '/box/api/v8.1/policies'],
    ['POST', '/-/reload'],
    ['POST', '/nobody/api/oauth2/token'],
    ['POST', '/api/oauth2/token'],
    ['POST', `/box${simulatorRoot.azure}/uploads?/api/oauth2/token`],
  ] as const) {
    const reply = await unheard(simulator, () => call(url, { method, path }))
    assert.ok(reply.status === 401 || reply.status === 429, `${method} ${path}: ${reply.status}`)
  }
})

test('where sign-ins are denied or forwarded they need proof like any request', async t => {
  for (const [signInMode, credentials] of [
    ['deny', false],
    ['forward', true],
  ] as const) {
    const { url, simulator } = await start(t, 'azure', { signIn: signInMode, access: { rule: {}, credentials } })
    await eventually('live', async () => (await get(url, '/-/readyz')).status === 200)
    const reply = await unheard(simulator, () => signIn(url, { path: tokenPaths.azure, body: encoded('grafana', KEY) }))
    assert.deepEqual([reply.status, reply.json.get('code')], [401, 'CALLER_UNKNOWN'], signInMode)
  }
})

test('a caller signs in at its own appliances only, and whatever else it may not do', async t => {
  const { url, simulator } = await start(t, 'azure', {
    access: { rule: { readOnly: true, paths: compilePaths(['/none']) }, credentials: false },
  })
  await live(url)
  const foreign = await unheard(simulator, () =>
    signIn(url, { path: tokenPaths.azure, body: encoded('elsewhere', OTHER) }),
  )
  assert.equal(foreign.status, 403)
  assert.match(messageIn('azure', foreign), /elsewhere may not use box/)
  const out = { method: 'DELETE', path: '/box/api/oauth2/token', fields: { 'x-proxy-key': OTHER } }
  assert.equal((await unheard(simulator, () => call(url, out))).status, 403)
  assertPlaceholders(await signIn(url, { path: tokenPaths.azure, body: encoded('grafana', KEY) }))
})

test('a sign-in writes neither name nor password into log or audit, and the audit says who signed in and out', async t => {
  const audit = join(temporaryFolder(t).path, 'audit.log')
  const { url, lines } = await startBox(t, { product: 'azure' }, {}, { guard: { callers }, audit })
  await live(url)
  const path = `${tokenPaths.azure}?password=in-the-query`
  const good = await signIn(url, { path, body: encoded('grafana', KEY) })
  const token = String(good.json.get('access_token'))
  await signIn(url, { path, body: encoded('somebody-unknown', 'a-password-from-habit') })
  await signIn(url, { path, body: 'grant_type=operator&assertion=assertion-of-a-tenant' })
  await call(url, { method: 'DELETE', path: `/box${path}`, fields: { authorization: `Bearer ${token}` } })
  const wanted = [
    ['grafana', 200, 'emulated: sign-in'],
    [null, 401, 'denied: CALLER_UNKNOWN'],
    [null, 400, 'denied: GRANT_WITHHELD'],
    ['grafana', 204, 'emulated: sign-out'],
  ]
  const written = async () => (await readFile(audit, 'utf8')).split('\n').filter(line => line.includes('oauth2/token'))
  await eventually('four lines', async () => (await written()).length === 4)
  const entries: Record<string, unknown>[] = (await written()).map(line => JSON.parse(line))
  assert.deepEqual(
    entries.map(({ caller, status, decision }) => [caller, status, decision]),
    wanted,
  )
  for (const entry of entries) {
    assert.deepEqual(
      [entry.event, entry.appliance, entry.path, entry.source],
      ['request', 'box', tokenPaths.azure, 'proxy'],
    )
  }
  const all = lines.join('\n') + (await readFile(audit, 'utf8'))
  for (const hidden of [KEY, 'somebody-unknown', 'from-habit', 'in-the-query', 'assertion-of', token]) {
    assert.ok(!all.includes(hidden), hidden)
  }
})
