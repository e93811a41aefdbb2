import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import test from 'node:test'
import { compilePaths } from '../src/policy/path-rules.ts'
import { type Context, secret, startBox } from './rig.ts'

interface Reply {
  status: number
  fields: Record<string, string | string[] | undefined>
  code: unknown
}

/** A request whose fields are exactly those given: a browser's can be imitated, which fetch does not allow. */
function ask(url: string, fields: Record<string, string>, { method = 'GET', body = '' } = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers: fields, agent: false }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const isProblem = response.headers['content-type'] === 'application/problem+json'
        const code: unknown = isProblem ? JSON.parse(text).code : undefined
        resolve({ status: response.statusCode ?? 0, fields: response.headers, code })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

function raw(port: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.end(text))
    let answer = ''
    socket.on('data', chunk => {
      answer += chunk
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

const open = (t: Context, guard = {}, overrides = {}) => startBox(t, { product: 'azure' }, overrides, { guard })
const path = '/box/api/v8.1/policies?limit=1'

test('only names of the loopback and of the appliances are answered, unless allowedHosts adds some', async t => {
  const { url } = await open(t, { allowedHosts: ['proxy.example'] })
  const { port } = new URL(url)
  for (const host of ['localhost', `localhost:${port}`, '127.0.0.1', '[::1]:1', 'LOCALHOST', 'proxy.example:81']) {
    assert.equal((await ask(url + path, { host })).status, 200, host)
  }
  assert.equal((await ask(`${url}/api/v8.1/policies`, { host: 'box.localhost' })).status, 200)
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.2',
    '0.0.0.0',
    'nobox.localhost',
    'a@localhost',
  ]) {
    const { status, code } = await ask(url + path, { host })
    assert.deepEqual([status, code], [421, 'HOST_UNKNOWN'], host)
    assert.equal((await ask(`${url}/-/status`, { host })).status, 421, host)
  }
})

test('a missing and a second Host are refused', async t => {
  const { url, simulator } = await open(t)
  const { port } = new URL(url)
  const before = simulator.counts.requests
  for (const fields of ['', 'Host: localhost\r\nHost: localhost\r\n', 'Host: localhost\r\nhost: evil.example\r\n']) {
    assert.match(await raw(port, `GET ${path} HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`), /^HTTP\/1\.1 400 /)
  }
  assert.match(await raw(port, `GET ${path} HTTP/1.0\r\n\r\n`), /^HTTP\/1\.1 400 /)
  assert.equal(simulator.counts.requests, before, 'none of them reached the appliance')
})

test('pages of other origins are refused, and so are navigations from other sites', async t => {
  const { url, simulator } = await open(t)
  const before = simulator.counts.requests
  for (const fields of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `${url}.evil.example` },
    { origin: url.replace('http:', 'https:') },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
    { 'sec-fetch-site': 'same-site' },
  ]) {
    const { status, code, fields: answered } = await ask(url + path, fields)
    assert.deepEqual([status, code], [403, 'ORIGIN_DENIED'], JSON.stringify(fields))
    assert.equal(answered['access-control-allow-origin'], undefined)
    const verb = await ask(`${url}/-/reload`, fields, { method: 'POST' })
    assert.equal(verb.status, 403)
  }
  assert.equal(simulator.counts.requests, before)
})

test("the proxy's own origin, typed addresses and the fetch of Node.js pass", async t => {
  const { url } = await open(t)
  for (const fields of [
    { origin: url },
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-mode': 'cors' },
  ]) {
    assert.equal((await ask(url + path, fields)).status, 200, JSON.stringify(fields))
  }
})

test('an allowed origin gets CORS answers, preflight included, and nobody else does', async t => {
  const origin = 'https://grafana.example'
  const { url, simulator } = await open(t, { allowedOrigins: [origin] })
  const plain = await ask(url + path, { origin, 'sec-fetch-site': 'cross-site' })
  assert.equal(plain.status, 200)
  assert.equal(plain.fields['access-control-allow-origin'], origin)
  assert.match(String(plain.fields.vary), /origin/i)
  const before = simulator.counts.requests
  const asked = { origin, 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'x-a, x-b' }
  const preflight = await ask(url + path, asked, { method: 'OPTIONS' })
  assert.equal(preflight.status, 204)
  assert.equal(preflight.fields['access-control-allow-methods'], 'DELETE')
  assert.equal(preflight.fields['access-control-allow-headers'], 'x-a, x-b')
  assert.equal(preflight.fields['access-control-allow-private-network'], undefined)
  assert.equal(simulator.counts.requests, before, 'the preflight is not forwarded')
  assert.equal((await ask(url + path, { origin: 'https://grafana.example.evil' })).status, 403)
  assert.equal((await ask(url + path, {})).fields['access-control-allow-origin'], undefined)
})

const KEY = 'a-caller-secret-of-some-length'
const callers = [
  { name: 'reader', secret: secret(KEY), rule: { readOnly: true }, appliances: ['box'], admin: false },
  { name: 'boss', secret: secret(`${KEY}-of-the-boss`), rule: {}, admin: true },
  { name: 'other', secret: secret(`${KEY}-of-another`), rule: {}, appliances: ['elsewhere'], admin: false },
  {
    name: 'jobs',
    secret: secret(`${KEY}-for-jobs`),
    rule: { paths: compilePaths(['/api/v8.1/policies']) },
    admin: false,
  },
]
const basic = (name: string, key: string) => `Basic ${Buffer.from(`${name}:${key}`).toString('base64')}`

test('a caller proves itself by Bearer, Basic or x-proxy-key, and anybody else gets 401 with WWW-Authenticate', async t => {
  const { url, simulator } = await open(t, { callers })
  for (const fields of [
    { authorization: `Bearer ${KEY}` },
    { authorization: `bearer ${KEY}` },
    { authorization: basic('reader', KEY) },
    { 'x-proxy-key': KEY },
  ]) {
    assert.equal((await ask(url + path, fields)).status, 200, JSON.stringify(fields))
  }
  const before = simulator.counts.requests
  for (const fields of [
    {},
    { authorization: 'Bearer null' },
    { authorization: `Bearer ${KEY}x` },
    { authorization: basic('boss', KEY) },
    { authorization: KEY },
    { 'x-proxy-key': '' },
    { 'x-proxy-key': `${KEY} x` },
  ]) {
    const reply = await ask(url + path, fields)
    assert.deepEqual([reply.status, reply.code], [401, 'CALLER_UNKNOWN'], JSON.stringify(fields))
    assert.match(String(reply.fields['www-authenticate']), /Bearer.*Basic/)
  }
  assert.equal(simulator.counts.requests, before)
  assert.equal((await ask(`${url}/-/status`, {})).status, 401)
  assert.equal((await ask(`${url}/-/livez`, {})).status, 200, 'an orchestrator may ask')
})

test('a secret beyond ASCII is taken in every way that it can be sent in UTF-8', async t => {
  const word = 'Schl\u00fcssel-\u4f60\u597d-of-a-caller'
  const { url } = await open(t, { callers: [{ name: 'reader', secret: secret(word), rule: {}, admin: false }] })
  const onTheWire = Buffer.from(word).toString('latin1')
  for (const fields of [
    { 'x-proxy-key': onTheWire },
    { authorization: `Bearer ${onTheWire}` },
    { authorization: basic('reader', word) },
  ]) {
    assert.equal((await ask(url + path, fields)).status, 200, Object.keys(fields).join())
  }
  assert.equal((await ask(url + path, { 'x-proxy-key': onTheWire.slice(0, -1) })).status, 401)
})

test('the secret of a caller goes to no appliance', async t => {
  const { url } = await open(t, { callers })
  const answer = await fetch(`${url}/box/api/v8.1/simulator/echo`, {
    headers: { 'x-proxy-key': KEY, authorization: basic('reader', KEY) },
  })
  assert.equal(answer.status, 200)
  const seen = await answer.text()
  assert.ok(!seen.includes(KEY) && !seen.includes(basic('reader', KEY).slice(6)) && !seen.includes('x-proxy-key'))
})

test('failed attempts are told to wait after ten in a minute, while good ones go on', async t => {
  const { url } = await open(t, { callers })
  const statuses: number[] = []
  for (let i = 0; i < 12; i += 1) statuses.push((await ask(url + path, { 'x-proxy-key': `wrong ${i}` })).status)
  assert.deepEqual(statuses, [...Array(10).fill(401), 429, 429])
  const refused = await ask(url + path, { 'x-proxy-key': 'wrong' })
  assert.equal(refused.code, 'TOO_MANY_FAILURES')
  assert.ok(Number(refused.fields['retry-after']) > 0)
  assert.equal((await ask(url + path, { 'x-proxy-key': KEY })).status, 200)
})

test('a caller is held to its appliances, methods and paths, and the verbs of the proxy are for admins', async t => {
  const { url } = await open(t, { callers })
  const as = (key: string) => ({ 'x-proxy-key': key })
  const post = { method: 'POST', body: '{}' }
  assert.equal((await ask(url + path, as(KEY), post)).code, 'METHOD_DENIED')
  assert.equal((await ask(url + path, as(`${KEY}-of-another`))).code, 'APPLIANCE_DENIED')
  assert.equal((await ask(url + path, as(`${KEY}-for-jobs`))).status, 200)
  assert.equal((await ask(`${url}/box/api/v8.1/repositories`, as(`${KEY}-for-jobs`))).code, 'PATH_DENIED')
  const verb = { method: 'POST', body: '' }
  assert.equal((await ask(`${url}/-/appliances/box/sign-in`, as(KEY), verb)).code, 'ADMIN_WANTED')
  assert.equal((await ask(`${url}/-/appliances/box/sign-in`, as(`${KEY}-of-the-boss`), verb)).status, 200)
})

test('an appliance can be read-only and limited to paths for everybody', async t => {
  const rule = { readOnly: true, paths: compilePaths(['/api/v8.1/policies', '/api/v8.1/simulator/**']) }
  const { url, simulator } = await open(t, {}, { access: { rule, credentials: false } })
  assert.equal((await ask(url + path, {})).status, 200)
  const otherWords = await ask(`${url}/box/API/v8.1//Policies/`, {})
  assert.notEqual(otherWords.status, 403, 'the same path in other words: the appliance decides')
  assert.equal((await ask(`${url}/box/api/v8.1/repositories`, {})).code, 'PATH_DENIED')
  assert.equal((await ask(`${url}/box/api/v8.1/simulator/effects?id=1`, {}, { method: 'POST' })).code, 'METHOD_DENIED')
  assert.equal(simulator.counts.effects, 0)
})

test('paths that hand out credentials are kept back, in any spelling, unless the appliance allows them', async t => {
  const { url, simulator } = await open(t, {}, { signIn: 'deny' })
  assert.equal((await ask(url + path, {})).status, 200)
  const before = simulator.counts.tokenRequests
  for (const spelling of [
    '/api/oauth2/token',
    '/API/OAuth2/Token/',
    '/api//oauth2/token',
    '/api/oauth2/%74oken',
    '/api/oauth2/token;x=1',
  ]) {
    for (const method of ['POST', 'DELETE', 'GET']) {
      const { status, code } = await ask(`${url}/box${spelling}`, {}, { method })
      assert.deepEqual([status, code], [403, 'CREDENTIALS_WITHHELD'], `${method} ${spelling}`)
    }
  }
  assert.equal((await ask(`${url}/box/api/oauth2%2ftoken`, {})).status, 400)
  assert.equal(simulator.counts.tokenRequests, before)
  const allowing = await open(t, {}, { access: { rule: {}, credentials: true } })
  assert.notEqual((await ask(`${allowing.url}/box/api/oauth2/token`, {}, { method: 'POST' })).status, 403)
})

test('a body above maxBody is refused, announced or not', async t => {
  const { url, simulator } = await open(t, {}, { maxBody: 1000 })
  const upload = `${url}/box/api/v8.1/simulator/uploads`
  assert.equal((await fetch(upload, { method: 'POST', body: 'x'.repeat(1000) })).status, 200)
  assert.equal((await fetch(upload, { method: 'POST', body: 'x'.repeat(1001) })).status, 413)
  const parts = (async function* () {
    for (let i = 0; i < 40; i += 1) yield Buffer.alloc(100)
  })()
  const streamed = await fetch(upload, { method: 'POST', body: parts, duplex: 'half' }).then(r => r.status)
  assert.equal(streamed, 413)
  assert.equal(simulator.counts.uploads, 1)
})
