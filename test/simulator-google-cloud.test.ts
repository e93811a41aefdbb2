import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { defaultPassword, defaultUsername } from '../src/simulator/index.ts'
import { authorized, type Caller, claimsOf, type Fields, startWithCaller, text } from './simulator-caller.ts'

const product = 'google-cloud'
const path = '/api/v1/token'
const revision = { 'x-api-version': '1.4-rev0' }
const password = { grant_type: 'password', username: defaultUsername, password: defaultPassword }
const totpSecret = 'JBSWY3DPEHPK3PXP'

const grant = (caller: Caller, values: Fields) => caller.form(path, values, revision)
const renew = (caller: Caller, token: string) => grant(caller, { grant_type: 'refresh_token', refresh_token: token })
const get = (caller: Caller, token: string, target = '/api/v1/policies') =>
  caller.send('GET', target, authorized(token, revision))
const codeAt = (timestamp: number) => new TOTP({ secret: Secret.fromBase32(totpSecret) }).generate({ timestamp })

test('the simulated google-cloud appliance answers the documented password form, with and without the slash', async t => {
  const caller = await startWithCaller(t, { product })
  for (const target of [path, `${path}/`]) {
    const reply = await caller.form(target, password, { 'x-api-version': '1.3-rev0' })
    assert.equal(reply.status, 200, target)
    assert.deepEqual(
      [...reply.body.keys()],
      ['access_token', 'token_type', 'refresh_token', 'expires_in', '.issued', '.expires'],
    )
    assert.equal(reply.body.get('expires_in'), 900)
    assert.match(text(reply, '.issued'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/)
    const life = Date.parse(`${text(reply, '.expires')}Z`) - Date.parse(`${text(reply, '.issued')}Z`)
    assert.equal(life, 900_000)
  }
})

test('x-api-version is required by the simulator, and has to be a known one, on every request', async t => {
  const caller = await startWithCaller(t, { product })
  const access = text(await grant(caller, password), 'access_token')
  const attempts = [
    (fields: Fields) => caller.form(path, password, fields),
    (fields: Fields) => caller.send('GET', '/api/v1/policies', authorized(access, fields)),
    (fields: Fields) => caller.send('POST', '/api/v1/authorization_code', authorized(access, fields)),
    (fields: Fields) => caller.send('DELETE', path, authorized(access, fields)),
  ]
  for (const attempt of attempts) {
    const missing = await attempt({})
    assert.equal(missing.status, 400)
    assert.match(missing.fields.get('content-type') ?? '', /^application\/problem\+json/)
    assert.match(text(missing, 'type'), /apiVersionUnspecified$/)
    assert.equal(missing.body.has('errorCode'), true)
    for (const wrong of ['1.5-rev0', 'v1', '']) {
      const unknown = await attempt({ 'x-api-version': wrong })
      assert.equal(unknown.status, 400)
      assert.match(text(unknown, 'type'), /unsupportedApiVersion$/)
    }
  }
  for (const known of ['1.0-rev0', '1.1-rev0', '1.2-rev0', '1.3-rev0', '1.4-rev0']) {
    assert.equal((await caller.form(path, password, { 'x-api-version': known })).status, 200)
  }
  assert.equal((await get(caller, access)).status, 200, 'nothing was signed out')
})

test('the simulated google-cloud appliance insists on forms, lower-case names and lower-case grants', async t => {
  const caller = await startWithCaller(t, { product })
  const wrong: Fields[] = [
    { ...password, grant_type: 'Password' },
    { grant_type: 'password', Username: defaultUsername, Password: defaultPassword },
    { Grant_type: 'password', username: defaultUsername, password: defaultPassword },
    { ...password, use_short_term_refresh: 'yes' },
    { grant_type: 'mfa' },
  ]
  for (const values of wrong) assert.equal((await grant(caller, values)).status, 400, JSON.stringify(values))
  assert.equal((await grant(caller, { ...password, password: 'wrong' })).status, 401)
  const json = { fields: { ...revision, 'content-type': 'application/json' }, body: JSON.stringify(password) }
  assert.equal((await caller.send('POST', path, json)).status, 415)
  assert.equal(caller.simulator.counts.refusedSignIns, 1)
})

test('use_short_term_refresh and authorization codes shorten the simulated refresh token to 75 minutes', async t => {
  const caller = await startWithCaller(t, { product })
  const lifeOf = (token: string) => {
    const claims = claimsOf(token)
    return [Number(claims.get('exp')) - Number(claims.get('iat')), claims.get('short_term_expiration')]
  }
  const long = await grant(caller, password)
  assert.deepEqual(lifeOf(text(long, 'refresh_token')), [1_209_600, 'False'])
  const short = await grant(caller, { ...password, use_short_term_refresh: 'true' })
  assert.deepEqual(lifeOf(text(short, 'refresh_token')), [4500, 'True'])
  const code = caller.simulator.issueAuthorizationCode()
  const coded = await grant(caller, { grant_type: 'authorization_code', code })
  assert.deepEqual(lifeOf(text(coded, 'refresh_token')), [4500, 'True'])
  caller.simulator.shiftClock(4_501_000)
  assert.equal((await renew(caller, text(short, 'refresh_token'))).status, 401)
  assert.equal((await renew(caller, text(long, 'refresh_token'))).status, 200)
})

test('a simulated authorization code is good once, for 60 s, and only when percent-encoded', async t => {
  const caller = await startWithCaller(t, { product })
  const access = text(await grant(caller, password), 'access_token')
  const anonymous = await caller.send('POST', '/api/v1/authorization_code', { fields: revision })
  assert.equal(anonymous.status, 401)
  const issue = async () =>
    text(await caller.send('POST', '/api/v1/authorization_code', authorized(access, revision)), 'code')
  const redeem = (code: string) => grant(caller, { grant_type: 'authorization_code', code })
  const code = await issue()
  for (const character of '+/=') assert.equal(code.includes(character), true)
  const reply = await redeem(code)
  assert.equal(reply.status, 200)
  assert.equal((await get(caller, text(reply, 'access_token'))).status, 200)
  assert.equal((await redeem(code)).status, 401)
  const raw = await issue()
  const careless = await caller.send('POST', path, {
    fields: { ...revision, 'content-type': 'application/x-www-form-urlencoded' },
    body: `grant_type=authorization_code&code=${raw}`,
  })
  assert.equal(careless.status, 401)
  assert.equal((await redeem(raw)).status, 200, 'only what arrives whole is spent')
  const late = await issue()
  caller.simulator.shiftClock(60_000)
  assert.equal((await redeem(late)).status, 401)
  assert.equal(caller.simulator.counts.authorizationCodes, 2)
})

test('the simulated google-cloud appliance asks for an MFA code with a 202', async t => {
  const caller = await startWithCaller(t, { product, totpSecret })
  const asked = await grant(caller, password)
  assert.equal(asked.status, 202)
  assert.deepEqual([...asked.body.keys()], ['mfa_token', 'description'])
  const mfa = (mfaToken: string, code: string) =>
    grant(caller, { grant_type: 'mfa', mfa_token: mfaToken, mfa_code: code })
  const token = text(asked, 'mfa_token')
  assert.match(text(await mfa(token, '12345'), 'type'), /invalidMfaCode$/)
  assert.match(text(await mfa('unknown', codeAt(Date.now())), 'type'), /invalidMfaToken$/)
  const reply = await mfa(token, codeAt(Date.now()))
  assert.equal(reply.status, 200)
  assert.equal((await get(caller, text(reply, 'access_token'))).status, 200)
  assert.equal((await renew(caller, text(reply, 'refresh_token'))).status, 200, 'a renewal needs no code')
})

test('the simulated google-cloud appliance tells a missing, an unknown and an expired token apart', async t => {
  const caller = await startWithCaller(t, { product })
  const reply = await grant(caller, password)
  const typeOf = async (token?: string) => {
    const refused = await caller.send(
      'GET',
      '/api/v1/policies',
      token ? authorized(token, revision) : { fields: revision },
    )
    assert.equal(refused.status, 401)
    assert.equal(refused.fields.get('www-authenticate'), 'Bearer')
    return text(refused, 'type').split('/').at(-1)
  }
  assert.equal(await typeOf(), 'noAccessToken')
  assert.equal(await typeOf('a.b.c'), 'invalidAccessToken')
  assert.equal(await typeOf(text(reply, 'refresh_token')), 'invalidAccessToken')
  caller.simulator.shiftClock(901_000)
  assert.equal(await typeOf(text(reply, 'access_token')), 'expiredAccessToken')
  assert.equal(caller.simulator.counts.unauthorized, 4)
})

test('renewal and sign-out of the simulated google-cloud appliance spend and end tokens', async t => {
  const caller = await startWithCaller(t, { product })
  const first = await grant(caller, password)
  const second = await renew(caller, text(first, 'refresh_token'))
  assert.equal((await renew(caller, text(first, 'refresh_token'))).status, 401)
  assert.equal((await get(caller, text(first, 'access_token'))).status, 200)
  const bye = await caller.send('DELETE', path, authorized(text(second, 'access_token'), revision))
  assert.equal(bye.status, 204)
  assert.equal((await get(caller, text(first, 'access_token'))).status, 401)
  assert.equal((await get(caller, text(second, 'access_token'))).status, 401)
  assert.equal((await renew(caller, text(second, 'refresh_token'))).status, 401)
})

test('pages of the simulated google-cloud appliance carry their place and no links', async t => {
  const caller = await startWithCaller(t, { product })
  const access = text(await grant(caller, password), 'access_token')
  const ids = new Set<string>()
  for (let offset = 0, total = 1; offset < total; offset += 90) {
    const reply = await get(caller, access, `/api/v1/sessions?$offset=${offset}&$limit=90`)
    const page: Page = JSON.parse(reply.text)
    assert.deepEqual(page.meta, { offset, limit: 90, totalCount: 320 })
    for (const { id } of page.data) ids.add(id)
    total = page.pagination.total
    assert.equal(reply.text.includes('href'), false)
  }
  assert.equal(ids.size, 320)
  const unlimited: Page = JSON.parse((await get(caller, access, '/api/v1/sessions')).text)
  assert.equal(unlimited.data.length, 100)
})

interface Page {
  data: { id: string }[]
  meta: { offset: number; limit: number; totalCount: number }
  pagination: { total: number }
}
