import assert from 'node:assert/strict'
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { compilePaths } from '../src/policy/path-rules.ts'
import { age, cacheFor10s, counted, give, MB, startCached, startWaiting, status } from './cache-rig.ts'
import { get, valuesOf } from './caller.ts'
import { applianceAt, eventually, startProxy } from './rig.ts'
import { type Seen, startScripted } from './scripted-appliance.ts'

const HIT = /^hit; ttl=\d+$/

test('a GET that was answered is answered from the cache for as long as ttl says, and then by the appliance', async t => {
  const { ask, clock, count } = await startCached(t)
  const first = await ask()
  assert.deepEqual(
    [first.status, first.text, status(first), age(first)],
    [200, '{"nth":1}', 'fwd=uri-miss; stored', ''],
  )
  await clock.advance(3_400)
  const second = await ask()
  assert.deepEqual([second.status, second.text, status(second), age(second)], [200, '{"nth":1}', 'hit; ttl=6', '3'])
  assert.deepEqual(valuesOf(second.raw, 'date'), valuesOf(first.raw, 'date'))
  await clock.advance(6_599)
  assert.equal(status(await ask()), 'hit; ttl=0')
  await clock.advance(1)
  const third = await ask()
  assert.deepEqual([third.text, status(third), age(third)], ['{"nth":2}', 'fwd=stale; stored', ''])
  assert.equal(count(), 2)
})

test('an appliance without a cache gets every request, and says nothing of one', async t => {
  const { ask, count } = await startCached(t, { overrides: { cache: undefined } })
  for (const _ of [1, 2]) assert.equal(status(await ask()), '')
  assert.equal(count(), 2)
})

test('while the machine sleeps an answer grows old, and a clock set back keeps none alive', async t => {
  const { ask, clock } = await startCached(t)
  await ask()
  clock.sleep(11_000)
  const woken = await ask()
  assert.deepEqual([woken.text, status(woken)], ['{"nth":2}', 'fwd=stale; stored'])
  clock.set(-3_600_000)
  await clock.advance(4_000)
  assert.deepEqual([status(await ask()), age(await ask())], ['hit; ttl=6', '4'])
  await clock.advance(6_000)
  assert.equal(status(await ask()), 'fwd=stale; stored')
})

describe('what is answered alike', { concurrency: 4 }, () => {
  const differing: Record<string, [OutgoingHttpHeaders, string?]> = {
    'another path': [{}, '/box/y'],
    'another spelling of the path': [{}, '/box/%78'],
    'another query': [{}, '/box/x?a=1'],
    'an empty query': [{}, '/box/x?'],
    'another Accept': [{ accept: 'application/xml' }],
    'an empty Accept': [{ accept: '' }],
    'another Accept-Encoding': [{ 'accept-encoding': 'gzip' }],
    'another x-api-version': [{ 'x-api-version': 'v9' }],
    'another Host': [{ host: 'localhost' }],
    'the root of another host name': [{ host: 'box.localhost' }, '/x'],
  }
  for (const [what, [fields, path]] of Object.entries(differing)) {
    test(`a request with ${what} is another one`, async t => {
      const { ask, count } = await startCached(t)
      await ask()
      assert.equal(status(await ask(fields, path)), 'fwd=uri-miss; stored')
      assert.match(status(await ask(fields, path)), HIT)
      assert.match(status(await ask()), HIT)
      assert.equal(count(), 2)
    })
  }

  test('fields of a caller that never go up, or that the appliance is silent about, change nothing', async t => {
    const { ask, count } = await startCached(t)
    await ask()
    for (const fields of [
      { authorization: 'Bearer mine' },
      { cookie: 'a=b' },
      { 'user-agent': 'probe/2.0' },
      { 'x-forwarded-for': '10.0.0.1' },
      { connection: 'close' },
      { 'cache-control': 'max-age=60, min-fresh=5' },
    ]) {
      assert.match(status(await ask(fields)), HIT, JSON.stringify(fields))
    }
    assert.equal(count(), 1)
  })

  test('links in an answer lead to where each of its callers is', async t => {
    const { ask, requests, url } = await startCached(t, {
      resource: (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(`{"href":"https://127.0.0.1:${response.socket?.localPort}/jobs"}`)
      },
    })
    const { host } = new URL(url)
    const at = [
      [host, '/box/x', `http://${host}/box/jobs`],
      ['box.localhost:1', '/x', 'http://box.localhost:1/jobs'],
    ] as const
    for (const _ of [1, 2]) {
      for (const [name, path, href] of at) assert.deepEqual((await ask({ host: name }, path)).json.get('href'), href)
    }
    assert.equal(requests.length, 2)
  })
})

interface Answer {
  fields?: OutgoingHttpHeaders
  status?: number
  /** Bytes of the body. */
  size?: number
  chunked?: boolean
  encoded?: boolean
}

function answering({ fields = {}, status: code = 200, size = 2, chunked = false, encoded = false }: Answer) {
  return (_: Seen, response: ServerResponse): void => {
    const plain = Buffer.from(`"${'x'.repeat(size - 2)}"`)
    const body = encoded ? gzipSync(plain) : plain
    response.writeHead(code, {
      'content-type': 'application/json',
      ...(encoded ? { 'content-encoding': 'gzip' } : {}),
      ...(chunked ? {} : { 'content-length': body.length }),
      ...fields,
    })
    response.write(body.subarray(0, 1))
    response.end(body.subarray(1))
  }
}

describe('which answers are kept', { concurrency: 4 }, () => {
  const kept: Record<string, Answer> = {
    JSON: {},
    'JSON with parameters': { fields: { 'content-type': 'Application/JSON; charset=utf-8' } },
    'a dialect of JSON': { fields: { 'content-type': 'application/hal+json' } },
    XML: { fields: { 'content-type': 'application/xml' } },
    'XML as text': { fields: { 'content-type': 'text/xml' } },
    'a dialect of XML': { fields: { 'content-type': 'application/atom+xml' } },
    'a body in chunks': { chunked: true },
    'a compressed body': { encoded: true },
    'a compressed body in chunks': { encoded: true, chunked: true },
    'a body of one byte less than 1 MB': { size: MB - 1 },
    'a body of one byte less than 1 MB in chunks': { size: MB - 1, chunked: true },
    'an answer that sets cookies': { fields: { 'set-cookie': 'a=secret' } },
    'an answer with a life of its own': { fields: { 'cache-control': 'public, max-age=60' } },
  }
  const forgotten: Record<string, Answer> = {
    'plain text': { fields: { 'content-type': 'text/plain' } },
    'something binary': { fields: { 'content-type': 'application/octet-stream' } },
    'JSON by another name': { fields: { 'content-type': 'application/json-seq' } },
    'a body of 1 MB': { size: MB },
    'a body of 1 MB in chunks': { size: MB, chunked: true },
    'a body of 4 MB': { size: 4 * MB },
    'a body of 4 MB in chunks': { size: 4 * MB, chunked: true },
    '201': { status: 201 },
    '203': { status: 203 },
    '404': { status: 404 },
    '500': { status: 500 },
    'a redirection': { status: 302, fields: { location: '/y' } },
  }
  const fields = { 'accept-encoding': 'gzip' }
  const overrides = { rewriteLinks: false }

  for (const [what, answer] of Object.entries(kept)) {
    test(`kept: ${what}`, async t => {
      const { ask, count } = await startCached(t, { resource: answering(answer), overrides })
      const first = await ask(fields)
      assert.equal(status(first), answer.chunked ? 'fwd=uri-miss' : 'fwd=uri-miss; stored')
      const second = await ask(fields)
      assert.match(status(second), HIT)
      assert.equal(count(), 1)
      assert.ok(first.body.equals(second.body))
      assert.equal(second.fields['content-length'], String(first.body.length))
      for (const name of ['content-type', 'content-encoding', 'date', 'x-other', 'set-cookie'])
        assert.deepEqual(valuesOf(second.raw, name), valuesOf(first.raw, name), name)
    })
  }

  for (const [what, answer] of Object.entries(forgotten)) {
    test(`not kept: ${what}`, async t => {
      const { ask, count } = await startCached(t, { resource: answering(answer), overrides })
      for (const _ of [1, 2]) {
        const reply = await ask(fields)
        assert.deepEqual([reply.status, status(reply)], [answer.status ?? 200, 'fwd=uri-miss'])
        assert.equal(reply.body.length, answer.size ?? 2)
      }
      assert.equal(count(), 2)
    })
  }

  test('an answer whose links are rewritten is kept as it went down, in one piece or as a stream', async t => {
    for (const size of [100, 200_000]) {
      const { ask, count } = await startCached(t, {
        resource: (_, response) => {
          const link = `"https://127.0.0.1:${response.socket?.localPort}/jobs"`
          const body = `[${link},"${'x'.repeat(size)}"]`
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length, etag: '"1"' })
          response.end(body)
        },
      })
      const [first, second] = [await ask(), await ask()]
      assert.match(first.text, /^\["http:\/\/[^"]+\/box\/jobs"/)
      assert.equal(second.text, first.text)
      assert.deepEqual([second.fields.etag, second.fields['content-length']], ['W/"1"', String(first.body.length)])
      assert.match(status(second), HIT)
      assert.equal(count(), 1)
    }
  })
})

test('only the paths that paths names are kept, in whatever spelling of the path', async t => {
  const { ask } = await startCached(t, { cache: { paths: compilePaths(['/v8/Jobs/**']) } })
  const whether = async (path: string) => {
    await ask({}, path)
    return status(await ask({}, path))
  }
  assert.match(await whether('/box/v8/Jobs/1'), HIT)
  assert.match(await whether('/box/v8/jobs?a=%20'), HIT)
  assert.match(await whether('/box/V8//%4aobs/'), HIT)
  for (const path of ['/box/v8', '/box/v8/JobSessions', '/box/v9/Jobs/1'])
    assert.equal(await whether(path), 'fwd=bypass')
})

test('an answer at a path of credentials is never kept, even where such paths are forwarded', async t => {
  const { ask, count } = await startCached(t, { overrides: { access: { rule: {}, credentials: true } } })
  for (const _ of [1, 2]) assert.equal(status(await ask({}, '/box/api/sso')), 'fwd=bypass')
  assert.equal(count(), 2)
})

test('HEAD is answered from the GET that was answered, and a HEAD that was answered is no GET', async t => {
  const { ask, count } = await startCached(t)
  const head = () => ask({}, '/box/x', { method: 'HEAD' })
  const first = await head()
  // Whether links would change the length is not known without the body.
  assert.deepEqual([first.status, status(first), first.fields['content-length']], [200, 'fwd=uri-miss', undefined])
  assert.equal(status(await ask()), 'fwd=uri-miss; stored')
  const second = await head()
  assert.match(status(second), HIT)
  assert.deepEqual(
    [second.status, second.fields['content-length'], second.body.length, age(second)],
    [200, '9', 0, '0'],
  )
  assert.equal(count(), 2)
})

test('what a request with a part, a condition or a body of its own is about goes past the cache', async t => {
  const { ask, requests } = await startCached(t)
  await ask()
  const rows: OutgoingHttpHeaders[] = [
    { range: 'bytes=0-1' },
    { range: 'bytes=0-1', 'if-range': '"a"' },
    { 'if-match': '"a"' },
    { 'if-unmodified-since': 'Wed, 21 Oct 2015 07:28:00 GMT' },
  ]
  for (const fields of rows) {
    assert.equal(status(await ask(fields)), 'fwd=bypass', JSON.stringify(fields))
    const seen = requests.at(-1)
    for (const [name, value] of Object.entries(fields)) assert.equal(seen?.fields[name], value)
  }
  assert.equal(status(await ask({ 'content-length': 2 }, '/box/x', { body: '{}' })), 'fwd=bypass')
  assert.equal(requests.at(-1)?.body.toString(), '{}')
  assert.match(status(await ask()), HIT)
})

test('a field that goes no further because Connection names it does not pass for part of the question', async t => {
  const { ask, url } = await startCached(t)
  const versioned = { 'x-api-version': 'v9' }
  assert.equal(status(await ask({ ...versioned, connection: 'close, X-Api-Version' })), 'fwd=bypass')
  const reply = await get(url, '/box/x', versioned)
  assert.deepEqual([reply.text, status(reply)], ['{"nth":2}', 'fwd=uri-miss; stored'])
})

test('the connection to the appliance is used again, whatever became of those who asked over it', async t => {
  const { answers, leaver, crowd, come, ask } = await startWaiting(t, { cache: { ttl: 0, staleIfError: 60_000 } })
  const served = async (nth: number, code = 200, size = 2) => {
    await come(nth)
    give(answers[nth - 1], Buffer.alloc(size, '1'), {}, code)
  }
  const [alone] = await crowd(1)
  await served(1)
  await alone
  const first = await leaver()
  const [other] = await crowd(1)
  await come(2)
  await first.leave()
  await served(2)
  await other
  const [stale] = await crowd(1)
  await served(3, 503)
  assert.match(status((await stale) ?? assert.fail()), /^fwd=stale; fwd-status=503/)
  const conditional = ask({ 'if-none-match': '"a"' })
  await served(4, 200, 50_000)
  await conditional
  assert.equal(new Set(answers.map(({ req }) => req.socket)).size, 1)
})

test('the cache of one appliance says nothing of another, although both are configured alike', async t => {
  const cache = cacheFor10s
  const [one, other] = [
    await startScripted(t, { resource: counted() }),
    await startScripted(t, { resource: counted({ 'x-other': '1' }) }),
  ]
  const { url } = await startProxy(t, [
    applianceAt(one, 'azure', { name: 'one', cache }),
    applianceAt(other, 'azure', { name: 'other', cache }),
  ])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  for (const name of ['one', 'other', 'one', 'other']) {
    const reply = await get(url, '/x', { host: `${name}.localhost` })
    assert.deepEqual([reply.text, reply.fields['x-other']], ['{"nth":1}', name === 'other' ? '1' : undefined])
  }
  assert.deepEqual([one.requests.length, other.requests.length], [1, 1])
})
