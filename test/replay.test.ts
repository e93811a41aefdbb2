import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { simulatorRoot } from '../src/simulator/index.ts'
import { type Call, call, get } from './caller.ts'
import { applianceAt, type Context, eventually, startBox, startProxy } from './rig.ts'
import { granted, type Seen, startScripted } from './scripted-appliance.ts'

const KiB = 1024
const root = `/box${simulatorRoot.azure}`

async function start(t: Context) {
  const box = await startBox(t, { product: 'azure' })
  await eventually('ready', async () => (await get(box.url, '/-/readyz')).status === 200)
  return box
}

function measured(path: string, body: Buffer): Call {
  return { method: 'POST', path, fields: { 'content-length': body.length }, body }
}

/** In pieces of 4 KiB, so that the length is known at the end only. */
function chunked(path: string, body: Buffer): Call {
  const pieces = Array.from({ length: Math.ceil(body.length / 4096) }, (_, i) =>
    body.subarray(i * 4096, (i + 1) * 4096),
  )
  return { method: 'POST', path, fields: { 'transfer-encoding': 'chunked' }, body: Readable.from(pieces) }
}

const small: [string, (path: string) => Call][] = [
  ['a GET', path => ({ path })],
  ['a DELETE without a body', path => ({ method: 'DELETE', path })],
  ['a POST of 10 KB', path => measured(path, randomBytes(10_000))],
  ['a POST of 64 KiB', path => measured(path, randomBytes(64 * KiB))],
  ['a POST of 10 KB in chunks', path => chunked(path, randomBytes(10_000))],
  ['a POST of 64 KiB in chunks', path => chunked(path, randomBytes(64 * KiB))],
]

for (const [name, request] of small) {
  test(`${name} that meets a rejected token is sent a second time, whole, and its caller sees no 401`, async t => {
    const { simulator, url } = await start(t)
    const before = await call(url, request(`${root}/echo`))
    simulator.revoke('access')
    const reply = await call(url, request(`${root}/echo`))
    assert.equal(reply.status, 200, reply.text)
    assert.equal(reply.json.get('bodyLength'), before.json.get('bodyLength'))
    const { refreshes, signIns, unauthorized } = simulator.counts
    assert.deepEqual({ refreshes, signIns, unauthorized }, { refreshes: 1, signIns: 1, unauthorized: 1 })
  })
}

test('an unsafe request that is sent a second time takes effect once', async t => {
  const { simulator, url } = await start(t)
  for (const [id, request] of [measured, chunked].entries()) {
    simulator.revoke('access')
    const reply = await call(url, request(`${root}/effects?id=${id}`, randomBytes(20_000)))
    // The second rejection comes within ten seconds of the first: its 401 goes to the caller, who may repeat it.
    assert.equal(reply.status, id === 0 ? 201 : 401)
  }
  assert.deepEqual([simulator.counts.effects, simulator.counts.duplicateEffects], [1, 0])
})

const large: [string, (path: string) => Call][] = [
  ['of 64 KiB and one byte', path => measured(path, randomBytes(64 * KiB + 1))],
  ['of 1 MB', path => measured(path, randomBytes(1_000_000))],
  ['of 100 KB in chunks', path => chunked(path, randomBytes(100_000))],
]

for (const [name, request] of large) {
  test(`a POST ${name} is not sent a second time: the 401 goes through and says why`, async t => {
    const { simulator, url } = await start(t)
    simulator.revoke('access')
    const reply = await call(url, request(`${root}/uploads`))
    assert.equal(reply.status, 401)
    assert.equal(
      reply.fields['proxy-status'],
      'veeam-auth-proxy; received-status=401; details="not replayed: the body of the request was streamed"',
    )
    assert.equal(reply.fields['www-authenticate'], undefined)
    assert.deepEqual([simulator.counts.refreshes, simulator.counts.uploads, simulator.counts.requests], [1, 0, 1])
    assert.equal((await call(url, request(`${root}/uploads`))).status, 200)
  })
}

/** A proxy before an appliance that rejects each token but those after the first, in a manner of its own. */
async function startRejecting(t: Context, reject: (response: ServerResponse, seen: Seen) => void) {
  const scripted = await startScripted(t, {
    // Slow, so that whatever becomes of the rejecting connection becomes of it first.
    async token(_, nth) {
      await sleep(nth === 1 ? 0 : 300)
      return granted(nth)
    },
    resource(seen, response) {
      if (seen.fields.authorization === 'Bearer access-1-token') return reject(response, seen)
      response.end(JSON.stringify({ bytes: seen.body.length }))
    },
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { scripted, url }
}

const closings: [string, (response: ServerResponse) => void][] = [
  ['says Connection: close', response => response.writeHead(401, { connection: 'close' }).end('{"message":"expired"}')],
  ['has no length', response => void response.socket?.end('HTTP/1.1 401 Unauthorized\r\n\r\nexpired')],
  [
    'breaks off',
    response => {
      response.writeHead(401, { 'content-length': 1000 })
      response.write('half', () => response.socket?.destroy())
    },
  ],
]

for (const [name, reject] of closings) {
  test(`a request is sent a second time also when the 401 ${name}`, async t => {
    const { scripted, url } = await startRejecting(t, reject)
    const body = randomBytes(1000)
    for (const request of [{ path: '/box/a' }, measured('/box/b', body)]) {
      const reply = await call(url, request)
      assert.equal(reply.status, 200, reply.text)
    }
    assert.equal(scripted.tokenRequests.length, 2)
    assert.deepEqual(
      scripted.requests.map(({ url, body }) => [url, body.length]),
      [
        ['/a', 0],
        ['/a', 0],
        ['/b', 1000],
      ],
    )
  })
}

test('a POST in chunks that is rejected before its caller has sent all of it is never sent in part', async t => {
  const { scripted, url } = await startRejecting(t, response => response.writeHead(401).end('no'))
  const simulated = await start(t)
  simulated.simulator.revoke('access')
  async function* slowly() {
    yield randomBytes(1000)
    await sleep(400)
    yield randomBytes(1000)
  }
  const fields = { 'transfer-encoding': 'chunked' }
  const early = await call(simulated.url, {
    method: 'POST',
    path: `${root}/uploads`,
    fields,
    body: Readable.from(slowly()),
  })
  assert.ok(early.status === 401 || early.json.get('bytes') === 2000, `${early.status} ${early.text}`)
  const late = await call(url, { method: 'POST', path: '/box/x', fields, body: Readable.from(slowly()) })
  assert.deepEqual([late.status, late.json.get('bytes')], [200, 2000])
  assert.deepEqual(
    scripted.requests.map(({ body }) => body.length),
    [2000, 2000],
  )
})

test('a second 401, with the new token, goes through as it is', async t => {
  const { simulator, url } = await start(t)
  simulator.misbehave({ where: 'resources', answer: 401 })
  const reply = await get(url, `${root}/status/200`)
  assert.equal(reply.status, 401)
  assert.equal(reply.fields['proxy-status'], undefined)
  assert.deepEqual([simulator.counts.requests, simulator.counts.tokenRequests], [2, 2])
  const next = await get(url, `${root}/status/200`)
  assert.match(String(next.fields['proxy-status']), /not replayed: there is no newer session/)
  assert.deepEqual([simulator.counts.requests, simulator.counts.tokenRequests], [3, 2], 'one renewal in ten seconds')
})

test('403, 429, 500 and 503 of a resource go through once, and no token is asked for', async t => {
  const { simulator, url } = await start(t)
  for (const answer of [403, 429, 500, 503] as const) {
    simulator.misbehave({ where: 'resources', answer, retryAfter: '7' })
    const before = simulator.counts.requests
    for (const request of [{ path: `${root}/status/200` }, measured(`${root}/uploads`, randomBytes(100))]) {
      const reply = await call(url, request)
      assert.deepEqual([reply.status, reply.fields['retry-after']], [answer, '7'])
    }
    assert.equal(simulator.counts.requests - before, 2)
  }
  assert.equal(simulator.counts.tokenRequests, 1)
})
