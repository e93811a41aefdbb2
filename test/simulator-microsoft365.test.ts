import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultPassword, defaultUsername, type SimulatorOptions } from '../src/simulator/index.ts'
import { type Caller, claimsOf, type Fields, type Reply, startWithCaller, text } from './simulator-caller.ts'

const product = 'microsoft365'
const password = { grant_type: 'password', username: defaultUsername, password: defaultPassword }

/** The cookies a browser would hold after these answers, as a `Cookie` field. */
function cookiesOf(...replies: Reply[]): string {
  const jar = new Map<string, string>()
  for (const reply of replies) {
    for (const cookie of reply.fields.getSetCookie()) {
      const pair = cookie.split(';')[0] ?? ''
      jar.set(pair.slice(0, pair.indexOf('=')), pair)
    }
  }
  return [...jar.values()].join('; ')
}

const signIn = (caller: Caller, more: Fields = {}, version = 'v8') =>
  caller.form(`/${version}/token`, { ...password, ...more })
const renew = (caller: Caller, of: Reply, cookie: string, more: Fields = {}) =>
  caller.form(
    '/v8/token',
    { grant_type: 'refresh_token', refresh_token: text(of, 'refresh_token'), ...more },
    cookie === '' ? {} : { cookie },
  )
const get = (caller: Caller, of: Reply, cookie: string, path = '/v8/Jobs', fields: Fields = {}) =>
  caller.send('GET', path, {
    fields: { authorization: `Bearer ${text(of, 'access_token')}`, ...(cookie === '' ? {} : { cookie }), ...fields },
  })
const start = (t: Parameters<typeof startWithCaller>[0], options: Omit<SimulatorOptions, 'product'> = {}) =>
  startWithCaller(t, { product, ...options })

test('the simulated microsoft365 appliance answers with the documented members and claims', async t => {
  const caller = await start(t)
  const reply = await signIn(caller)
  assert.equal(reply.status, 200)
  assert.deepEqual(
    [...reply.body.keys()],
    ['access_token', 'refresh_token', 'token_type', 'expires_in', 'userName', '.issued', '.expires'],
  )
  assert.equal(reply.body.get('expires_in'), 3600)
  const access = claimsOf(text(reply, 'access_token'))
  const refresh = claimsOf(text(reply, 'refresh_token'))
  assert.equal(access.has('iat') || access.has('nbf'), false)
  assert.equal(Number(refresh.get('exp')) - Number(access.get('exp')), 3600)
  assert.equal(access.get('antiforgery'), 'True')
})

test('the simulated microsoft365 appliance takes forms and JSON at each version and any case of the path', async t => {
  const { form, send } = await start(t)
  for (const path of ['/v5/token', '/v6/Token', '/v7/TOKEN', '/V8/token']) {
    assert.equal((await form(path, password)).status, 200, path)
  }
  const json = { fields: { 'content-type': 'application/json' }, body: JSON.stringify(password) }
  assert.equal((await send('POST', '/v8/token', json)).status, 200)
  for (const path of ['/v4/token', '/v9/token', '/token', '/v6/token/logout']) {
    assert.equal((await form(path, password)).status, 404, path)
  }
  const plain = { fields: { 'content-type': 'text/plain' }, body: 'grant_type=password' }
  assert.equal((await send('POST', '/v8/token', plain)).status, 415)
})

test('the simulated microsoft365 appliance insists on lower-case names and grants, with the error body of the version', async t => {
  const { form, simulator } = await start(t)
  const wrong: Fields[] = [
    { Grant_type: 'password', username: defaultUsername, password: defaultPassword },
    { ...password, grant_type: 'Password' },
    { grant_type: 'password', Username: defaultUsername, Password: defaultPassword },
    { ...password, password: 'wrong' },
    { grant_type: 'refresh_token', refresh_token: 'unknown' },
  ]
  for (const fields of wrong) {
    const reply = await form('/v8/token', fields)
    assert.equal(reply.status, 400, JSON.stringify(fields))
    assert.deepEqual([...reply.body.keys()], ['message', 'errorCode'])
  }
  assert.equal(text(await form('/v5/token', { ...password, password: 'wrong' }), 'error'), 'invalid_grant')
  assert.equal(simulator.counts.refusedSignIns, 3)
})

test('two antiforgery cookies with names new at each start are needed with every request', async t => {
  const caller = await start(t)
  const other = await start(t)
  assert.equal(new Set([...caller.simulator.cookieNames, ...other.simulator.cookieNames]).size, 4)
  const reply = await signIn(caller)
  for (const cookie of reply.fields.getSetCookie()) {
    assert.match(cookie, /; path=\/; secure; HttpOnly$/i)
  }
  const both = cookiesOf(reply)
  assert.equal((await get(caller, reply, both)).status, 200)
  assert.equal((await get(caller, reply, `a=b; ${both}; c=d`)).status, 200)
  const foreign = cookiesOf(await signIn(caller))
  for (const cookie of ['', ...both.split('; '), foreign]) {
    const refused = await get(caller, reply, cookie)
    assert.deepEqual([refused.status, refused.text], [401, ''])
  }
  assert.equal(caller.simulator.counts.unauthorized, 4)
})

test('a renewal needs the cookies and sets one of the two anew', async t => {
  const caller = await start(t)
  const first = await signIn(caller)
  assert.equal((await renew(caller, first, '')).status, 400)
  const second = await renew(caller, first, cookiesOf(first))
  assert.equal(second.status, 200, 'a refusal for want of cookies does not spend the refresh token')
  assert.equal(second.fields.getSetCookie().length, 1)
  assert.equal((await get(caller, second, cookiesOf(first))).status, 401)
  assert.equal((await get(caller, second, cookiesOf(first, second))).status, 200)
  assert.equal((await get(caller, first, cookiesOf(first))).status, 200, 'the old pair goes on with its own cookies')
  assert.equal((await renew(caller, first, cookiesOf(first))).status, 400, 'a refresh token works once')
})

test('disable_antiforgery_token frees one pair of cookies, and has to be said again at the renewal', async t => {
  const caller = await start(t)
  const disabled = { disable_antiforgery_token: 'true' }
  const first = await signIn(caller, disabled)
  assert.deepEqual(first.fields.getSetCookie(), [])
  assert.equal((await get(caller, first, '')).status, 200)
  assert.notEqual(claimsOf(text(first, 'access_token')).get('antiforgery'), 'True')
  const second = await renew(caller, first, '', disabled)
  assert.deepEqual(second.fields.getSetCookie(), [])
  assert.equal((await get(caller, second, '')).status, 200)
  const third = await renew(caller, second, '')
  assert.equal(third.fields.getSetCookie().length, 2)
  assert.equal((await get(caller, third, '')).status, 401)
  const old = await signIn(caller, disabled, 'v6')
  assert.equal(old.fields.getSetCookie().length, 2, 'v6 does not know the field')
})

test('with antiforgeryField the value of the second cookie has to come back in that field', async t => {
  const caller = await start(t, { antiforgeryField: 'X-Test-Antiforgery' })
  const reply = await signIn(caller)
  const cookies = cookiesOf(reply)
  const [, name] = caller.simulator.cookieNames
  const value = cookies.slice(cookies.indexOf(`${name}=`) + `${name}=`.length)
  assert.equal((await get(caller, reply, cookies)).status, 401)
  assert.equal((await get(caller, reply, cookies, '/v8/Jobs', { 'x-test-antiforgery': 'x' })).status, 401)
  assert.equal((await get(caller, reply, cookies, '/v8/Jobs', { 'x-test-antiforgery': value })).status, 200)
})

test('with rotateCookies a resource answer replaces a cookie, and the old value serves for a moment only', async t => {
  const caller = await start(t, { rotateCookies: true })
  const reply = await signIn(caller)
  const rotated = await get(caller, reply, cookiesOf(reply))
  assert.equal(rotated.fields.getSetCookie().length, 1)
  const late = await get(caller, reply, cookiesOf(reply))
  assert.equal(late.status, 200)
  assert.deepEqual(late.fields.getSetCookie(), [], 'an old value does not replace the newest')
  caller.simulator.shiftClock(10_000)
  assert.equal((await get(caller, reply, cookiesOf(reply))).status, 401)
  assert.equal((await get(caller, reply, cookiesOf(reply, rotated))).status, 200)
})

test('over plain HTTP the simulated cookies are not marked secure', async t => {
  const caller = await start(t, { http: true })
  const reply = await signIn(caller)
  assert.equal(caller.simulator.url.startsWith('http://'), true)
  assert.deepEqual(
    reply.fields.getSetCookie().map(cookie => /secure/i.test(cookie)),
    [false, false],
  )
})

test('a rejected token gets an empty 401 from the simulated microsoft365 appliance', async t => {
  const caller = await start(t, { tokenLife: 60 })
  const reply = await signIn(caller, { disable_antiforgery_token: 'true' })
  const anonymous = await caller.send('GET', '/v8/ServiceInstance')
  assert.deepEqual([anonymous.status, anonymous.text], [401, ''])
  assert.equal((await caller.send('GET', '/v8/Health')).status, 200)
  caller.simulator.shiftClock(61_000)
  const expired = await get(caller, reply, '')
  assert.deepEqual([expired.status, expired.text], [401, ''])
  const fresh = await renew(caller, reply, '', { disable_antiforgery_token: 'true' })
  assert.equal((await get(caller, fresh, '', '/v8/ServiceInstance')).status, 200)
  caller.simulator.shiftClock(3_700_000)
  assert.equal((await renew(caller, fresh, '')).status, 400)
})

test('the simulated sign-out answers 204 in v8 and 200 in v7, needs the cookies and ends the session', async t => {
  const caller = await start(t)
  const signOut = (of: Reply, cookie: string, version: string) =>
    caller.send('POST', `/${version}/token/logout`, {
      fields: { authorization: `Bearer ${text(of, 'access_token')}`, ...(cookie === '' ? {} : { cookie }) },
    })
  const first = await signIn(caller)
  assert.equal((await signOut(first, '', 'v8')).status, 401)
  assert.equal((await signOut(first, cookiesOf(first), 'v8')).status, 204)
  assert.equal((await get(caller, first, cookiesOf(first))).status, 401)
  assert.equal((await renew(caller, first, cookiesOf(first))).status, 400)
  const second = await signIn(caller)
  assert.equal((await signOut(second, cookiesOf(second), 'v7')).status, 200)
  assert.equal(caller.simulator.counts.signOuts, 2)
})

test('pages of the simulated microsoft365 appliance are linked from the root, and absolutely in v5', async t => {
  const caller = await start(t)
  const reply = await signIn(caller)
  const cookies = cookiesOf(reply)
  const ids = new Set<string>()
  let next: string | undefined = '/v8/JobSessions'
  let pages = 0
  while (next !== undefined) {
    assert.match(next, /^\/v8\/JobSessions/)
    const page: Page = JSON.parse((await get(caller, reply, cookies, next)).text)
    assert.equal('totalCount' in page, false)
    assert.equal(page.limit, 30)
    for (const { id } of page.results) ids.add(id)
    next = page._links.next?.href
    pages += 1
  }
  assert.deepEqual([ids.size, pages], [400, 14])
  const old: Page = JSON.parse((await get(caller, reply, cookies, '/v5/jobs?limit=5')).text)
  assert.equal(old._links.next?.href.startsWith(`${caller.simulator.url}/v5/Jobs?`), true)
  const unknown = await get(caller, reply, cookies, '/v8/Nothing')
  assert.deepEqual([unknown.status, text(unknown, 'errorCode')], [404, 'ResourceNotFound'])
})

interface Page {
  limit: number
  results: { id: string }[]
  _links: { next?: { href: string } }
}
