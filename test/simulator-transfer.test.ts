import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request as plainRequest } from 'node:http'
import { request } from 'node:https'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import {
  createCertificate,
  defaultPassword,
  defaultUsername,
  downloadBytes,
  simulatedProducts,
  simulatorRoot,
} from '../src/simulator/index.ts'
import { authorized, type Caller, type Fields, startWithCaller, text, until } from './simulator-caller.ts'

const root = simulatorRoot.azure
const password = { grant_type: 'password', username: defaultUsername, password: defaultPassword }
const tokenPaths = { azure: '/api/oauth2/token', microsoft365: '/v8/token', 'google-cloud': '/api/v1/token' }
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

async function signedIn(caller: Caller): Promise<Fields> {
  return authorized(text(await caller.form(tokenPaths.azure, password), 'access_token')).fields
}

test('each product has the test resources below its root, and only for those who are signed in', async t => {
  for (const product of simulatedProducts) {
    const caller = await startWithCaller(t, { product })
    const revision = { 'x-api-version': '1.4-rev0' }
    const path = `${simulatorRoot[product]}/echo`
    assert.equal((await caller.send('GET', path, { fields: revision })).status, 401, product)
    const wish = product === 'microsoft365' ? { disable_antiforgery_token: 'true' } : {}
    const reply = await caller.form(tokenPaths[product], { ...password, ...wish }, revision)
    const echoed = await caller.send('GET', path, authorized(text(reply, 'access_token'), revision))
    assert.equal(echoed.status, 200, product)
    assert.equal((await caller.send('GET', '/elsewhere', { fields: revision })).status, 404, product)
  }
})

test('the echo tells the request as it arrived', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const fields = { ...(await signedIn(caller)), 'X-Mixed-Case': 'Yes' }
  const target = `${root}/echo/a%2Fb//c;d?q=%20+&q=`
  const body = randomBytes(5000)
  const echoed = await new Promise<string>((resolve, reject) => {
    const call = request(caller.simulator.url, {
      path: target,
      method: 'PATCH',
      headers: fields,
      ca: caller.simulator.certificate,
    })
    call.on('error', reject)
    call.on('response', async response => resolve(Buffer.concat(await response.toArray()).toString()))
    call.end(body)
  })
  const echo: Echo = JSON.parse(echoed)
  assert.deepEqual([echo.method, echo.url, echo.httpVersion], ['PATCH', target, '1.1'])
  assert.equal(echo.rawHeaders.includes('X-Mixed-Case'), true)
  assert.deepEqual([echo.bodySha256, echo.bodyLength], [sha256(body), 5000])
})

interface Echo {
  method: string
  url: string
  httpVersion: string
  rawHeaders: string[]
  bodySha256: string
  bodyLength: number
}

test('a download has the same bytes for the same seed, wherever a range begins', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const fields = await signedIn(caller)
  const path = `${root}/downloads/large?bytes=200001&seed=x`
  const whole = await caller.send('GET', path, { fields })
  assert.deepEqual([whole.status, whole.fields.get('content-length')], [200, '200001'])
  assert.equal(whole.fields.get('accept-ranges'), 'bytes')
  const bytes = Buffer.concat([...downloadBytes('x', 0, 200_001)])
  assert.equal(bytes.length, 200_001)
  const read = async (range: string, more: Fields = {}) => {
    const reply = await download(caller, path, { ...fields, range, ...more })
    return { ...reply, sha256: sha256(reply.bytes) }
  }
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 0],
    ['bytes=17-70000', 17, 70_000],
    ['bytes=200000-', 200_000, 200_000],
    ['bytes=-1000', 199_001, 200_000],
    ['bytes=5-900000', 5, 200_000],
  ] as const) {
    const part = await read(range)
    assert.equal(part.status, 206, range)
    assert.equal(part.contentRange, `bytes ${from}-${to}/200001`)
    assert.equal(part.sha256, sha256(bytes.subarray(from, to + 1)), range)
  }
  assert.equal((await read('bytes=200001-')).status, 416)
  assert.equal((await read('bytes=0-1,5-6')).status, 200)
  assert.equal((await read('bytes=0-1', { 'if-range': '"other"' })).status, 200)
  assert.equal((await read('bytes=0-1', { 'if-range': whole.fields.get('etag') ?? '' })).status, 206)
  assert.notEqual(sha256(Buffer.concat([...downloadBytes('y', 0, 100)])), sha256(bytes.subarray(0, 100)))
})

function download(caller: Caller, path: string, headers: Fields) {
  return new Promise<{ status: number; contentRange: string; bytes: Buffer }>((resolve, reject) => {
    const call = request(caller.simulator.url, { path, headers, ca: caller.simulator.certificate })
    call.on('error', reject)
    call.on('response', async response => {
      const bytes = Buffer.concat(await response.toArray())
      resolve({ status: response.statusCode ?? 0, contentRange: response.headers['content-range'] ?? '', bytes })
    })
    call.end()
  })
}

test('a download waits for a slow reader instead of piling up in memory, and notices when the reader leaves', async t => {
  const caller = await startWithCaller(t, { product: 'azure', http: true })
  const fields = await signedIn(caller)
  const before = process.memoryUsage().rss
  const path = `${root}/downloads/large?bytes=${2 ** 31}`
  const call = plainRequest(caller.simulator.url, { path, headers: fields })
  t.after(() => call.destroy())
  const response = await new Promise<NodeJS.ReadableStream>(resolve => {
    call.on('response', resolve)
    call.end()
  })
  response.pause()
  await sleep(500)
  assert.ok(process.memoryUsage().rss - before < 150 * 2 ** 20, 'two GiB are not in memory')
  assert.equal(caller.simulator.counts.aborted, 0)
  call.on('error', () => undefined)
  call.destroy()
  await until(() => caller.simulator.counts.aborted === 1)
})

test('an upload is answered with the SHA-256 and the length of what arrived', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const fields = await signedIn(caller)
  const body = randomBytes(3_000_000)
  for (const method of ['POST', 'PUT']) {
    const reply = await caller.send(method, `${root}/uploads`, { fields, body })
    assert.deepEqual(Object.fromEntries(reply.body), { sha256: sha256(body), bytes: 3_000_000 })
  }
  assert.equal(caller.simulator.counts.uploads, 2)
})

test('an effect that is taken twice for one id is counted as a duplicate', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const fields = await signedIn(caller)
  for (const id of ['1', '2', '1']) {
    assert.equal((await caller.send('POST', `${root}/effects?id=${id}`, { fields })).status, 201)
  }
  assert.equal((await caller.send('POST', `${root}/effects?id=3`)).status, 401)
  assert.equal((await caller.send('POST', `${root}/effects`, { fields })).status, 400)
  assert.deepEqual([caller.simulator.counts.effects, caller.simulator.counts.duplicateEffects], [3, 1])
})

test('any status, a redirection to the appliance itself and a slow answer can be asked for', async t => {
  const caller = await startWithCaller(t, { product: 'azure' })
  const fields = await signedIn(caller)
  for (const status of [200, 204, 304, 404, 429, 503]) {
    assert.equal((await caller.send('GET', `${root}/status/${status}`, { fields })).status, status)
  }
  const busy = await caller.send('GET', `${root}/status/503?retryAfter=7`, { fields })
  assert.equal(busy.fields.get('retry-after'), '7')
  const moved = await caller.send('GET', `${root}/redirect?to=/api/v8.1/policies`, { fields })
  assert.equal(moved.fields.get('location'), `${caller.simulator.url}/api/v8.1/policies`)
  const start = performance.now()
  assert.equal((await caller.send('GET', `${root}/slow?ms=120`, { fields })).status, 200)
  assert.ok(performance.now() - start >= 110)
})

test('a certificate made here is trusted as its own authority, for the names it was made for', async t => {
  const { cert, key, fingerprint } = await createCertificate({
    commonName: 'appliance',
    altNames: ['localhost', '::1'],
  })
  const caller = await startWithCaller(t, { product: 'azure', certificate: { cert, key } })
  assert.equal(caller.simulator.fingerprint, fingerprint)
  assert.match(fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
  const { port } = caller.simulator
  const handshake = (servername: string) =>
    new Promise<string>(resolve => {
      const socket = connectTls({ host: '127.0.0.1', port, ca: cert, servername })
      socket.on('secureConnect', () => resolve(socket.getPeerCertificate().fingerprint256))
      socket.on('error', error => resolve('code' in error ? String(error.code) : error.message))
      t.after(() => socket.destroy())
    })
  assert.equal(await handshake('localhost'), fingerprint)
  assert.equal(await handshake('elsewhere.example'), 'ERR_TLS_CERT_ALTNAME_INVALID')
})

test('closing the simulator ends the connections that are open', async t => {
  const { simulator } = await startWithCaller(t, { product: 'azure' })
  const socket = connect(simulator.port, '127.0.0.1')
  t.after(() => socket.destroy())
  await new Promise(resolve => socket.once('connect', resolve))
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.on('error', () => undefined)
  await simulator.close()
  await closed
})
