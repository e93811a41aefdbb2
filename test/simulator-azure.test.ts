import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { defaultPassword, defaultUsername } from '../src/simulator/index.ts'
import { authorized, type Caller, claimsOf, type Reply, startWithCaller, text } from './simulator-caller.ts'

const path = '/api/oauth2/token'
const resource = '/api/v8.1/repositories'
const credentials = { Username: defaultUsername, Password: defaultPassword }
const totpSecret = 'JBSWY3DPEHPK3PXP'

const signIn = ({ form }: Caller): Promise<Reply> => form(path, { ...credentials, grant_type: 'Password' })
const renew = ({ form }: Caller, token: string) => form(path, { grant_type: 'Refresh_token', refresh_token: token })
const codeAt = (timestamp: number) => new TOTP({ secret: Secret.fromBase32(totpSecret) }).generate({ timestamp })

test('the simulated azure appliance answers the documented password form with the documented members', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const reply = await signIn(caller)
  assert.equal(reply.status, 200)
  assert.deepEqual(
    [...reply.body.keys()].sort(),
    [
      '.expires',
      '.issued',
      'access_token',
      'expires_in',
      'mfa_enabled',
      'refresh_token',
      'roleName',
      'token_type',
      'username',
    ].sort(),
  )
  assert.equal(reply.body.get('expires_in'), 3600)
  assert.match(text(reply, '.issued'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/)
  const access = claimsOf(text(reply, 'access_token'))
  assert.equal(Number(access.get('exp')) - Number(access.get('iat')), 3600)
  const refresh = claimsOf(text(reply, 'refresh_token'))
  assert.equal(Number(refresh.get('exp')) - Number(refresh.get('iat')), 1_209_600)
  assert.equal(caller.simulator.counts.signIns, 1)
})

test('the simulated azure appliance takes the lower-case spelling of the OpenAPI document too', async t => {
  const { form } = await startWithCaller(t, { product: 'azure' })
  const fields = { username: defaultUsername, password: defaultPassword, grant_type: 'password' }
  assert.equal((await form(path, fields)).status, 200)
})

test('the simulated azure appliance refuses forms that the documents do not allow', async t => {
  const { form, send, simulator } = await startWithCaller(t, { product: 'azure' })
  const wrong: Record<string, string>[] = [
    { user: defaultUsername, pass: defaultPassword, grant_type: 'Password' },
    { ...credentials, grant_type: 'Password', surplus: '1' },
    { ...credentials, Grant_Type: 'Password' },
    { ...credentials },
    { ...credentials, grant_type: 'client_credentials' },
    { Username: defaultUsername, grant_type: 'Password' },
    { ...credentials, username: defaultUsername, grant_type: 'Password' },
    { grant_type: 'Refresh_token' },
  ]
  for (const fields of wrong) {
    const reply = await form(path, fields)
    assert.equal(reply.status, 400, JSON.stringify(fields))
    assert.match(reply.fields.get('content-type') ?? '', /^application\/problem\+json/)
  }
  assert.equal(simulator.counts.refusedSignIns, 0, 'a malformed form is no attempt at a password')
  const json = JSON.stringify({ ...credentials, grant_type: 'Password' })
  const asJson = await send('POST', path, { fields: { 'content-type': 'application/json' }, body: json })
  assert.equal(asJson.status, 415)
  assert.equal((await send('GET', path)).status, 405)
  assert.equal((await form('/api/v2/token', { ...credentials, grant_type: 'Password' })).status, 404)
})

test('the simulated azure appliance counts a wrong password and takes a password only when well encoded', async t => {
  const { form, send, simulator } = await startWithCaller(t, { product: 'azure' })
  const wrong = await form(path, { ...credentials, Password: 'wrong', grant_type: 'Password' })
  assert.equal(wrong.status, 400)
  const careless = await send('POST', path, {
    fields: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `Username=${defaultUsername}&Password=${defaultPassword.split('&')[0]}&grant_type=Password`,
  })
  assert.equal(careless.status, 400)
  assert.equal(simulator.counts.refusedSignIns, 2)
  simulator.setPassword('new one')
  assert.equal((await form(path, { ...credentials, grant_type: 'Password' })).status, 400)
  assert.equal((await form(path, { ...credentials, Password: 'new one', grant_type: 'Password' })).status, 200)
})

test('a simulated refresh token works once, and the old access token lives on to its own end', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const first = await signIn(caller)
  const second = await renew(caller, text(first, 'refresh_token'))
  assert.equal(second.status, 200)
  assert.notEqual(text(second, 'access_token'), text(first, 'access_token'))
  assert.equal((await renew(caller, text(first, 'refresh_token'))).status, 400)
  for (const reply of [first, second]) {
    assert.equal((await caller.send('GET', resource, authorized(text(reply, 'access_token')))).status, 200)
  }
  assert.deepEqual([caller.simulator.counts.refreshes, caller.simulator.counts.refusedRefreshes], [1, 1])
})

test('simulated tokens end when their life is over on the clock of the simulator', async t => {
  const caller = await startWithCaller(t, { product: 'azure', tokenLife: 90.7, refreshLife: 600 })
  const reply = await signIn(caller)
  assert.equal(reply.body.get('expires_in'), 90)
  const access = authorized(text(reply, 'access_token'))
  caller.simulator.shiftClock(89_000)
  assert.equal((await caller.send('GET', resource, access)).status, 200)
  caller.simulator.shiftClock(2000)
  const late = await caller.send('GET', resource, access)
  assert.equal(late.status, 401)
  assert.match(late.text, /Expired/)
  caller.simulator.shiftClock(510_000)
  assert.equal((await renew(caller, text(reply, 'refresh_token'))).status, 400)
})

test('a token of less than a second says one second and dies in time without anyone touching the clock', async t => {
  const caller = await startWithCaller(t, { product: 'azure', tokenLife: 0.3 })
  const reply = await signIn(caller)
  assert.equal(reply.body.get('expires_in'), 1)
  await new Promise(resolve => setTimeout(resolve, 350))
  assert.equal((await caller.send('GET', resource, authorized(text(reply, 'access_token')))).status, 401)
})

test('signing out of the simulated azure appliance ends every token of the session', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const first = await signIn(caller)
  const second = await renew(caller, text(first, 'refresh_token'))
  const other = await signIn(caller)
  assert.equal((await caller.send('DELETE', path)).status, 401)
  assert.equal((await caller.send('DELETE', path, authorized(text(second, 'access_token')))).status, 204)
  for (const reply of [first, second]) {
    assert.equal((await caller.send('GET', resource, authorized(text(reply, 'access_token')))).status, 401)
  }
  assert.equal((await renew(caller, text(second, 'refresh_token'))).status, 400)
  assert.equal((await caller.send('GET', resource, authorized(text(other, 'access_token')))).status, 200)
  assert.equal(caller.simulator.counts.signOuts, 1)
})

test('the simulated azure appliance asks for an MFA code with a 200 that has no access token', async t => {
  const caller = await startWithCaller(t, { product: 'azure', totpSecret })
  const { body } = await signIn(caller)
  const { mfa_token: mfaToken, ...rest } = Object.fromEntries(body)
  assert.deepEqual(rest, {
    token_type: 'bearer',
    expires_in: 0,
    '.issued': '0001-01-01T00:00:00',
    '.expires': '0001-01-01T00:00:00',
    username: defaultUsername,
    roleName: 'Administrator',
    mfa_enabled: true,
  })
  const complete = (code: string) =>
    caller.form(path, { grant_type: 'Mfa', mfa_token: String(mfaToken), mfa_code: code })
  const now = Date.now()
  const good = codeAt(now)
  assert.equal((await complete(good === '000000' ? '000001' : '000000')).status, 400)
  const done = await complete(good)
  assert.equal(done.status, 200)
  assert.equal(done.body.get('mfa_enabled'), false)
  assert.equal((await complete(codeAt(now + 30_000))).status, 400, 'the MFA token is spent')
  const again = text(await signIn(caller), 'mfa_token')
  const replayed = await caller.form(path, { grant_type: 'Mfa', mfa_token: again, mfa_code: good })
  assert.equal(replayed.status, 400, 'a code is accepted once per time step')
  const next = await caller.form(path, { grant_type: 'Mfa', mfa_token: again, mfa_code: codeAt(now + 30_000) })
  assert.equal(next.status, 200)
  assert.deepEqual([caller.simulator.counts.mfa, caller.simulator.counts.refusedCodes], [2, 3])
})

test('a simulated MFA token expires, and codes two steps away are refused', async t => {
  const caller = await startWithCaller(t, { product: 'azure', totpSecret, mfaTokenLife: 20 })
  const mfaToken = text(await signIn(caller), 'mfa_token')
  const complete = (code: string) => caller.form(path, { grant_type: 'Mfa', mfa_token: mfaToken, mfa_code: code })
  const far = await complete(codeAt(Date.now() + 65_000))
  assert.match(far.text, /code is incorrect/)
  caller.simulator.shiftClock(21_000)
  const late = await complete(codeAt(Date.now() + 21_000))
  assert.match(late.text, /MFA token is invalid or has expired/)
})

test('pages of the simulated azure appliance are linked by absolute addresses to the very end', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const access = authorized(text(await signIn(caller), 'access_token'))
  const ids = new Set<unknown>()
  let next: string | undefined = `${caller.simulator.url}/api/v8.1/jobSessions?Offset=0&Limit=70`
  let pages = 0
  while (next !== undefined) {
    assert.ok(next.startsWith(`${caller.simulator.url}/api/v8.1/`), next)
    const reply = await caller.send('GET', next.slice(caller.simulator.url.length), access)
    const page: Page = JSON.parse(reply.text)
    assert.equal(page.totalCount, 260)
    for (const { id } of page.results) ids.add(id)
    next = page._links.next?.href
    pages += 1
  }
  assert.deepEqual([ids.size, pages], [260, 4])
  assert.equal((await caller.send('GET', '/api/v8.1/jobSessions?limit=many', access)).status, 400)
  assert.equal((await caller.send('GET', '/api/v7/policies', access)).status, 200)
  assert.equal((await caller.send('GET', '/api/v4/policies', access)).status, 404)
  assert.equal((await caller.send('GET', '/api/v8.1/nothing', access)).status, 404)
  assert.equal((await caller.send('GET', `/api/v8.1/jobSessions/${[...ids][3]}`, access)).status, 200)
})

interface Page {
  totalCount: number
  results: { id: string }[]
  _links: { next?: { href: string } }
}

test('the items of a simulator are the same at each start with the same seed', async t => {
  const read = async (seed: number) => {
    const caller = await startWithCaller(t, { product: 'azure', seed })
    return (await caller.send('GET', '/api/v8.1/policies', authorized(text(await signIn(caller), 'access_token')))).body
  }
  const [first, again, other] = [await read(5), await read(5), await read(6)]
  const names = (body: Map<string, unknown>) => JSON.stringify(body.get('results')).replace(/https:[^"]*/g, '')
  assert.equal(names(first), names(again))
  assert.notEqual(names(first), names(other))
})
