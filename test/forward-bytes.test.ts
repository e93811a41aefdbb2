import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { METHODS } from 'node:http'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { call, get, valuesOf } from './caller.ts'
import { applianceAt, type Context, eventually, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

/** No rule judges the paths of this appliance, so that none has to be refused for being ambiguous. */
const unjudged = { access: { rule: {}, credentials: true } }

async function start(t: Context) {
  const scripted = await startScripted(t, {})
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure', unjudged)])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { ...scripted, proxyUrl: url, last: () => scripted.requests.at(-1) ?? assert.fail('nothing was forwarded') }
}

const targets = [
  '/',
  '/v8/a%2Bb%2Fc%2fd',
  '/v8/a+b%20c',
  '/v8/a;b=c,d;e',
  '/v8/a|b',
  '/V8/MiXeD/cAsE',
  '/v8/%41%7e~',
  '/v8//double//slashes//',
  '/v8/trailing/',
  '/v8/x?',
  '/v8/x??',
  '/v8/x?a=1&a=2&a&=&&b=',
  '/v8/x?%2B=%2f&q=b%20c+d;e|f',
  '/v8/x?next=/a/../b//c?d',
  "/v8/'()*!~$&@:=",
  '/v8/{a}[b]^`<>"\\',
  '/v8/%E4%BD%A0%C3%BC',
  '/v8/x?%ff%zz%',
  '/v8/$filter=Name%20eq%20%27a%27',
  '/v8/...',
  '/v8/.hidden/..a/a..',
  `/v8/${'long/'.repeat(1000)}`,
]

test('path and query travel byte for byte, under the name and as NAME.localhost', async t => {
  const { proxyUrl, last } = await start(t)
  for (const target of targets) {
    assert.equal((await get(proxyUrl, `/box${target}`)).status, 200, target)
    assert.equal(last().url, target)
    assert.equal((await get(proxyUrl, target, { host: 'box.localhost:8080' })).status, 200, target)
    assert.equal(last().url, target)
  }
})

test('a path that begins with two slashes travels byte for byte too', async t => {
  const { proxyUrl, last } = await start(t)
  for (const [path, host] of [
    ['/box//two/slashes', 'localhost'],
    ['//two/slashes', 'box.localhost'],
  ] as const) {
    assert.equal((await get(proxyUrl, path, { host })).status, 200, path)
    assert.equal(last().url, '//two/slashes')
  }
})

test('a path whose percent-encoding is no UTF-8 or no encoding at all travels byte for byte too', async t => {
  const { proxyUrl, last } = await start(t)
  for (const target of ['/v8/%ff', '/v8/caf%E9', '/v8/100%', '/v8/%zz']) {
    assert.equal((await get(proxyUrl, `/box${target}`)).status, 200, target)
    assert.equal(last().url, target)
  }
})

test('a name without a slash after it is the root of its appliance', async t => {
  const { proxyUrl, last } = await start(t)
  for (const [path, arrives] of [
    ['/box', '/'],
    ['/box?a=1', '/?a=1'],
  ]) {
    assert.equal((await get(proxyUrl, path ?? '')).status, 200, path)
    assert.equal(last().url, arrives)
  }
})

test('a path that climbs out of its appliance, or names another host, is refused and forwarded nowhere', async t => {
  const { proxyUrl, requests } = await start(t)
  for (const path of [
    '/box/../other/x',
    '/box/v8/../../other',
    '/box/%2e%2e/other',
    '/box/..%2fother',
    '/box/v8/..\\..\\other',
    'http://evil.example/box/x',
  ]) {
    const reply = await get(proxyUrl, path)
    assert.ok(reply.status === 400 || reply.status === 404, `${path}: ${reply.status}`)
    assert.equal(reply.json.get('source'), 'proxy')
  }
  assert.equal(requests.length, 0)
})

const bodies: [string, Buffer][] = [
  ['one byte', Buffer.from([0])],
  ['every byte', Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
  ['what is no JSON', Buffer.from('\uFEFF{"a": \u0000')],
  ['what just may be held', randomBytes(65_536)],
  ['what is streamed', randomBytes(65_537)],
  ['a megabyte', randomBytes(1_048_576)],
]
const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex')

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET', 'OPTIONS', 'PROPFIND']) {
  test(`the body of a ${method} travels byte for byte, of known length and chunked, whatever its type says`, async t => {
    const { proxyUrl, last } = await start(t)
    for (const [name, body] of bodies) {
      const known = await call(proxyUrl, {
        method,
        path: '/box/x',
        fields: { 'content-type': 'application/json', 'content-length': body.length },
        body,
      })
      assert.equal(known.status, 200, name)
      assert.deepEqual([last().method, sha256(last().body)], [method, sha256(body)], name)
      assert.deepEqual(
        [last().fields['content-length'], last().fields['content-type']],
        [String(body.length), 'application/json'],
      )
      const chunked = await call(proxyUrl, {
        method,
        path: '/box/x',
        fields: { 'transfer-encoding': 'chunked', 'content-type': 'no/type; at="all' },
        body: Readable.from([body.subarray(0, 10), body.subarray(10)]),
      })
      assert.equal(chunked.status, 200, name)
      assert.equal(sha256(last().body), sha256(body), name)
      assert.equal(last().fields['content-type'], 'no/type; at="all')
    }
  })
}

test("a type of a body that nobody can understand is the appliance's affair, as are all others", async t => {
  const { proxyUrl, last } = await start(t)
  const types = [';;', '', '/', 'text', 'a b/c', 'application/json; ;=;', 'x/y; charset="', 'undefined', 'text/\xe9']
  types.push('multipart/form-data', 'application/json;charset=utf-7', 'application/x-ndjson', '*/*', 'a/b, c/d')
  for (const type of types) {
    for (const method of ['POST', 'GET', 'PROPFIND', ...METHODS.filter(name => name === 'QUERY')]) {
      for (const body of ['', 'ok']) {
        const fields = { 'content-type': type, 'content-length': body.length }
        const { status } = await call(proxyUrl, { method, path: '/box/x', fields, body: Buffer.from(body) })
        assert.equal(status, 200, `${method} ${type}`)
        assert.deepEqual(
          [valuesOf(last().raw, 'content-type'), last().body.toString(), last().method],
          [[type], body, method],
        )
      }
    }
  }
})

test('a request without a body arrives without one, and a POST of nothing says so', async t => {
  const { proxyUrl, last } = await start(t)
  await get(proxyUrl, '/box/x')
  assert.deepEqual(
    [last().fields['content-length'], last().fields['transfer-encoding'], last().body.length],
    [undefined, undefined, 0],
  )
  await call(proxyUrl, { method: 'POST', path: '/box/x', fields: { 'content-length': 0 } })
  assert.deepEqual([last().fields['content-length'], last().fields['transfer-encoding']], ['0', undefined])
})

test('a HEAD has the fields of a GET whose links are rewritten, and no length that is not its own', async t => {
  const scripted = await startScripted(t, {
    resource: ({ fields }, response) => {
      const body = `{"next":{"href":"https://${fields.host}/v8?a=1"}}`
      const type = { 'content-type': 'application/json', etag: '"1"' }
      response.writeHead(200, { ...type, 'content-length': body.length }).end(body)
    },
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  const got = await call(url, { method: 'GET', path: '/box/x' })
  const head = await call(url, { method: 'HEAD', path: '/box/x' })
  assert.match(got.text, /"href":"http:/)
  assert.deepEqual([head.fields.etag, head.fields['content-type']], [got.fields.etag, got.fields['content-type']])
  assert.ok([undefined, got.fields['content-length']].includes(head.fields['content-length']))
})

test('a HEAD is answered with the fields and without a body', async t => {
  const scripted = await startScripted(t, {
    resource: (_, response) => {
      response.setHeader('content-length', 1234)
      response.end()
    },
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  const reply = await call(url, { method: 'HEAD', path: '/box/x' })
  assert.deepEqual([reply.status, reply.fields['content-length'], reply.body.length], [200, '1234', 0])
  assert.equal(scripted.requests[0]?.method, 'HEAD')
})
