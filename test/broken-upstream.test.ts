import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCertificate, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, type Reply } from './caller.ts'
import { applianceAt, type Context, eventually, simulate, startBox, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

const product = 'azure'
const root = `/box${simulatorRoot[product]}`

async function start(t: Context) {
  const box = await startBox(t, { product })
  await eventually('ready', async () => (await get(box.url, '/-/readyz')).status === 200)
  return box
}

function assertProblem(reply: Reply, status: number, code: string): void {
  assert.deepEqual(
    [reply.status, reply.json.get('code'), reply.json.get('source')],
    [status, code, 'proxy'],
    reply.text,
  )
  assert.doesNotMatch(reply.text, /127\.0\.0\.1|ECONN|UND_ERR|HPE_/, 'the problem tells of addresses or parsers')
}

/** A proxy before an appliance that answers every resource with these bytes and then closes the connection. */
async function startSaying(t: Context, bytes: string) {
  const scripted = await startScripted(t, {
    resource: (_, response) => void response.socket?.end(Buffer.from(bytes, 'latin1')),
  })
  const { url } = await startProxy(t, [applianceAt(scripted, product)])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return url
}

test('an appliance that dies in the middle of an answer makes the answer end broken, not complete', async t => {
  const { simulator, url } = await start(t)
  simulator.misbehave({ where: 'resources', answer: 'cut', times: 1 })
  await assert.rejects(get(url, `${root}/status/200`), /aborted|ECONNRESET|hang up/)
  assert.equal((await get(url, `${root}/status/200`)).status, 200)
})

test('an answer in chunks that breaks off ends broken too', async t => {
  for (const end of ['5\r\nhel', '5\r\nhello\r\n', '5\r\nhello\r\n0\r\n', 'zz\r\n']) {
    const url = await startSaying(t, `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n${end}`)
    const reply = await get(url, '/box/x').catch((error: Error) => error)
    if (reply instanceof Error) continue
    assertProblem(reply, 502, 'ANSWER_BROKEN')
  }
})

test('a request whose connection is reset gets 502 and is sent once only', async t => {
  const { simulator, url } = await start(t)
  simulator.misbehave({ where: 'resources', answer: 'reset' })
  const fields = { 'content-length': 2 }
  const reply = await call(url, { method: 'POST', path: `${root}/effects?id=1`, fields, body: '{}' })
  assertProblem(reply, 502, 'APPLIANCE_UNREACHABLE')
  assertProblem(await get(url, `${root}/status/200`), 502, 'APPLIANCE_UNREACHABLE')
  assert.deepEqual([simulator.counts.effects, simulator.counts.duplicateEffects, simulator.counts.requests], [1, 0, 2])
})

test('a 503 with Retry-After comes down as it is, once', async t => {
  const { simulator, url } = await start(t)
  for (const retryAfter of ['2', 'Wed, 21 Oct 2015 07:28:00 GMT']) {
    const before = simulator.counts.requests
    const reply = await get(url, `${root}/status/503?retryAfter=${encodeURIComponent(retryAfter)}`)
    assert.deepEqual([reply.status, reply.fields['retry-after']], [503, retryAfter])
    assert.equal(simulator.counts.requests - before, 1)
  }
})

test('an appliance that went away gives 502, and once it is back it is signed in to anew and serves', async t => {
  const certificate = await createCertificate()
  const first = await simulate(t, { product, certificate })
  const { url } = await startProxy(t, [applianceAt(first, product)])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  await first.close()
  assertProblem(await get(url, `${root}/status/200`), 502, 'APPLIANCE_UNREACHABLE')
  const second = await simulate(t, { product, certificate, port: first.port })
  assert.equal((await get(url, `${root}/status/200`)).status, 200)
  assert.deepEqual([second.counts.refusedRefreshes, second.counts.signIns], [1, 1])
})

/** What an appliance says, and the status or problem that the caller gets. */
const said: [string, string, number | string][] = [
  ['nothing at all', '', 'APPLIANCE_UNREACHABLE'],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'ANSWER_BROKEN'],
  ['half a status line', 'HTTP/1.1 20', 'APPLIANCE_UNREACHABLE'],
  ['a status of two digits', 'HTTP/1.1 42 Odd\r\nContent-Length: 0\r\n\r\n', 'ANSWER_BROKEN'],
  ['two different lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 'ANSWER_BROKEN'],
  [
    'a length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'ANSWER_BROKEN',
  ],
  ['a field without a name', 'HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n', 'ANSWER_BROKEN'],
  // undici takes a 100 that nothing asked for as the end of the connection.
  [
    '100 that nothing asked for',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'ANSWER_BROKEN',
  ],
  ['102 before the answer', 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 200],
  [
    '103 before the answer',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    200,
  ],
  ['two Location fields', 'HTTP/1.1 200 OK\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 2\r\n\r\nok', 200],
  [
    'trailers',
    'HTTP/1.1 200 OK\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-End: 1\r\n\r\n',
    200,
  ],
  ['a Trailer field with a length', 'HTTP/1.1 200 OK\r\nTrailer: X-End\r\nContent-Length: 2\r\n\r\nok', 200],
  ['a body that ends with the connection', 'HTTP/1.1 200 OK\r\n\r\nok', 200],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 200],
  ['a reason beyond ASCII', 'HTTP/1.1 200 Tr\u00e9s bien\r\nContent-Length: 2\r\n\r\nok', 200],
]

for (const [name, bytes, outcome] of said) {
  test(`an appliance that answers with ${name} gives ${typeof outcome === 'number' ? 'that answer' : 'a clean 502'}`, async t => {
    const url = await startSaying(t, bytes)
    const reply = await get(url, '/box/x')
    if (typeof outcome === 'string') assertProblem(reply, 502, outcome)
    else assert.deepEqual([reply.status, reply.text], [outcome, 'ok'])
    assert.equal((await get(url, '/-/livez')).status, 200, 'the process has survived')
  })
}

test('an appliance that says 100 to a request without Expect gives its answer or a clean 502, and no broken one', async t => {
  const url = await startSaying(t, 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const reply = await get(url, '/box/x')
  if (reply.status === 200) assert.equal(reply.text, 'ok')
  else assert.deepEqual([reply.status, reply.json.get('source')], [502, 'proxy'])
})
