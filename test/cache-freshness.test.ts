import assert from 'node:assert/strict'
import type { OutgoingHttpHeaders } from 'node:http'
import { describe, test } from 'node:test'
import { age, counted, type Fields, startCached, status } from './cache-rig.ts'

const DATE = 'Wed, 21 Oct 2015 07:28:00 GMT'
const DATE_PLUS_4 = 'Wed, 21 Oct 2015 07:28:04 GMT'
const DATE_MINUS_1 = 'Wed, 21 Oct 2015 07:27:59 GMT'

// Nearly all of this is starting up, so the tests run side by side.
describe('how long an answer is kept, by what the appliance says of it', { concurrency: 4 }, () => {
  const rows: { says: Fields; seconds: number; ttl?: number }[] = [
    { says: {}, seconds: 10 },
    { says: { 'cache-control': 'max-age=4' }, seconds: 4 },
    { says: { 'cache-control': 'max-age=600' }, seconds: 10 },
    { says: { 'cache-control': 'MAX-AGE="4"' }, seconds: 4 },
    { says: { 'cache-control': 'max-age=4, max-age=7' }, seconds: 4 },
    { says: { 'cache-control': ['public', 'max-age=4'] }, seconds: 4 },
    { says: { 'cache-control': 'max-age=4, s-maxage=7' }, seconds: 7 },
    { says: { 'cache-control': 'max-age=8', age: '4' }, seconds: 4 },
    { says: { age: '6' }, seconds: 4 },
    { says: { age: '60' }, seconds: 0 },
    { says: { 'cache-control': 'max-age=5', age: '5' }, seconds: 0 },
    { says: { 'cache-control': 'max-age=0' }, seconds: 0 },
    { says: { 'cache-control': 'max-age=soon' }, seconds: 0 },
    { says: { 'cache-control': 'max-age=-1' }, seconds: 0 },
    { says: { 'cache-control': 's-maxage=0, max-age=60' }, seconds: 0 },
    { says: { 'cache-control': 'max-age=99999999999999999999' }, seconds: 10 },
    { says: { date: DATE, expires: DATE_PLUS_4 }, seconds: 4 },
    { says: { date: DATE, expires: DATE_PLUS_4, 'cache-control': 'max-age=7' }, seconds: 7 },
    { says: { date: DATE, expires: DATE }, seconds: 0 },
    { says: { date: DATE, expires: DATE_MINUS_1 }, seconds: 0 },
    { says: { expires: '0' }, seconds: 0 },
    { says: { expires: '-1' }, seconds: 0 },
    { says: { 'cache-control': 'private' }, seconds: 0 },
    { says: { 'cache-control': 'Private="x-name"' }, seconds: 0 },
    { says: { 'cache-control': 'no-store' }, seconds: 0 },
    { says: { 'cache-control': 'no-cache, max-age=60' }, seconds: 0 },
    { says: { 'cache-control': 'no-cache="set-cookie"' }, seconds: 0 },
    { says: { 'cache-control': ['max-age=60', 'no-store'] }, seconds: 0 },
    { says: { 'cache-control': 'extension="private, no-store", max-age=4' }, seconds: 4 },
    { says: { 'cache-control': 'must-revalidate, max-age=4' }, seconds: 4 },
    { says: { vary: '*' }, seconds: 0 },
    { says: { vary: 'Accept, *' }, seconds: 0 },
    { says: {}, seconds: 0, ttl: 0 },
    { says: { 'cache-control': 'max-age=60' }, seconds: 0, ttl: 0 },
  ]
  for (const { says, seconds, ttl = 10_000 } of rows) {
    test(`${seconds} s with a ttl of ${ttl / 1000} s: ${JSON.stringify(says)}`, async t => {
      const { ask, clock, count } = await startCached(t, { resource: counted(says), cache: { ttl } })
      const first = status(await ask())
      if (seconds === 0) {
        assert.equal(first, 'fwd=uri-miss')
        assert.equal(status(await ask()), 'fwd=uri-miss')
        return
      }
      assert.equal(first, 'fwd=uri-miss; stored')
      await clock.advance(seconds * 1000 - 1)
      const last = await ask()
      const already = Number(says.age ?? 0)
      assert.deepEqual([status(last), age(last)], ['hit; ttl=0', String(seconds - 1 + already)])
      await clock.advance(1)
      assert.equal(status(await ask()), 'fwd=stale; stored')
      assert.equal(count(), 2)
    })
  }

  test('the time that an answer takes to come is part of its age', async t => {
    const { ask, clock, requests } = await startCached(t, {
      resource: (seen, response) => {
        const fields = { 'content-type': 'application/json', 'content-length': 2, 'cache-control': 'max-age=6' }
        void clock.advance(seen.url === '/slow' ? 4_000 : 0).then(() => response.writeHead(200, fields).end('{}'))
      },
    })
    await ask({}, '/box/slow')
    const reply = await ask({}, '/box/slow')
    assert.deepEqual([status(reply), age(reply)], ['hit; ttl=2', '4'])
    await clock.advance(2_000)
    assert.equal(status(await ask({}, '/box/slow')), 'fwd=stale; stored')
    assert.equal(requests.length, 2)
  })
})

test('an answer that came from another cache carries its age once, and what that one said of itself', async t => {
  const { ask } = await startCached(t, { resource: counted({ age: '3', 'cache-status': 'other; hit' }) })
  const first = await ask()
  assert.deepEqual([age(first), status(first)], ['3', 'other; hit, fwd=uri-miss; stored'])
  const second = await ask()
  assert.deepEqual([age(second), status(second)], ['3', 'other; hit, hit; ttl=7'])
})

test('an appliance that says something else that is not to be kept takes back what it said before', async t => {
  let nth = 0
  const { ask } = await startCached(t, {
    resource: (seen, response) => {
      nth += 1
      counted(nth === 2 ? { 'cache-control': 'private' } : {}, 200)(seen, response)
    },
  })
  await ask()
  assert.equal(status(await ask({ 'cache-control': 'no-cache' })), 'fwd=request')
  assert.equal(status(await ask()), 'fwd=uri-miss; stored')
})

describe('what a caller wants of the cache', { concurrency: 4 }, () => {
  /** Asked 4 s after an answer was kept for 10 s. */
  const rows: { wants: OutgoingHttpHeaders; gets: string; kept: boolean }[] = [
    { wants: {}, gets: 'hit; ttl=6', kept: false },
    { wants: { 'cache-control': 'max-age=4' }, gets: 'hit; ttl=6', kept: false },
    { wants: { 'cache-control': 'max-age=3' }, gets: 'fwd=request; stored', kept: true },
    { wants: { 'cache-control': 'max-age=0' }, gets: 'fwd=request; stored', kept: true },
    { wants: { 'cache-control': 'min-fresh=6' }, gets: 'hit; ttl=6', kept: false },
    { wants: { 'cache-control': 'min-fresh=7' }, gets: 'fwd=request; stored', kept: true },
    { wants: { 'cache-control': 'no-cache' }, gets: 'fwd=request; stored', kept: true },
    { wants: { 'cache-control': 'No-Cache, only-if-unknown' }, gets: 'fwd=request; stored', kept: true },
    { wants: { 'cache-control': 'no-store' }, gets: 'fwd=request', kept: false },
    { wants: { 'cache-control': 'max-stale=60' }, gets: 'hit; ttl=6', kept: false },
    { wants: { 'cache-control': 'only-if-cached' }, gets: 'hit; ttl=6', kept: false },
    { wants: { pragma: 'no-cache' }, gets: 'fwd=request; stored', kept: true },
    { wants: { pragma: 'no-cache', 'cache-control': 'max-age=60' }, gets: 'hit; ttl=6', kept: false },
  ]
  for (const { wants, gets, kept } of rows) {
    test(`${JSON.stringify(wants)}: ${gets}`, async t => {
      const { ask, clock, requests } = await startCached(t)
      await ask()
      await clock.advance(4_000)
      assert.equal(status(await ask(wants)), gets)
      const isForwarded = gets.startsWith('fwd')
      assert.equal(requests.length, isForwarded ? 2 : 1)
      if (isForwarded) assert.equal(requests[1]?.fields['cache-control'], wants['cache-control'])
      assert.equal((await ask()).text, kept ? '{"nth":2}' : '{"nth":1}')
    })
  }

  test('only-if-cached gets 504 of the proxy when there is nothing fresh, and the appliance gets no request', async t => {
    const { ask, clock, count } = await startCached(t)
    const refused = async (wants = 'only-if-cached') => {
      const reply = await ask({ 'cache-control': wants, 'x-request-id': 'an:id' })
      assert.equal(reply.fields['x-request-id'], 'an:id')
      assert.deepEqual([reply.status, reply.json.get('code'), reply.json.get('source')], [504, 'NOT_CACHED', 'proxy'])
    }
    await refused()
    assert.equal(count(), 0)
    await ask()
    await clock.advance(4_000)
    await refused('only-if-cached, max-age=3')
    await refused('only-if-cached, no-cache')
    await clock.advance(6_000)
    await refused()
    assert.equal(count(), 1)
  })

  test('only-if-cached gets 504 for what is never kept, and for a part or a condition that only the appliance judges', async t => {
    const paths = (path: string) => path === '/x'
    const { ask, count } = await startCached(t, { cache: { paths } })
    const wants = { 'cache-control': 'only-if-cached' }
    await ask()
    assert.match(status(await ask(wants)), /^hit/)
    const others = [
      await ask(wants, '/box/y'),
      await ask({ ...wants, range: 'bytes=0-1' }),
      await ask({ ...wants, 'if-match': '"a"' }),
    ]
    for (const { status: code, json } of others) assert.deepEqual([code, json.get('code')], [504, 'NOT_CACHED'])
    assert.equal(count(), 1)
  })
})

describe('Vary', { concurrency: 4 }, () => {
  const unimportant = [
    'Accept',
    'accept-encoding, X-Api-Version',
    'Origin',
    'Cookie, Authorization',
    'X-Forwarded-Host',
  ]
  for (const vary of unimportant) {
    test(`${vary}: kept for all who send the same of what is the key, as nothing else of it goes up`, async t => {
      const { ask, count } = await startCached(t, { resource: counted({ vary }) })
      await ask({ cookie: 'a=1', authorization: 'Bearer a', 'x-forwarded-host': 'a' })
      assert.match(status(await ask({ cookie: 'a=2', 'x-forwarded-host': 'b' })), /^hit/)
      assert.equal(count(), 1)
    })
  }

  test('a field of the request that an answer depends on must be the same, or as missing', async t => {
    const { ask } = await startCached(t, { resource: counted({ vary: 'Accept, Accept-Language, Prefer' }) })
    const rows: [OutgoingHttpHeaders, string][] = [
      [{ 'accept-language': 'de' }, 'fwd=uri-miss; stored'],
      [{ 'accept-language': 'de' }, 'hit; ttl=10'],
      [{ 'accept-language': 'fr' }, 'fwd=vary-miss; stored'],
      [{ 'accept-language': 'fr', prefer: 'x' }, 'fwd=vary-miss; stored'],
      [{ 'accept-language': 'fr', prefer: 'x', accept: '*/*' }, 'fwd=uri-miss; stored'],
      [{ 'accept-language': 'fr', prefer: 'x' }, 'hit; ttl=10'],
      [{ 'accept-language': 'fr' }, 'fwd=vary-miss; stored'],
      [{}, 'fwd=vary-miss; stored'],
      [{}, 'hit; ttl=10'],
      [{ 'accept-language': '' }, 'fwd=vary-miss; stored'],
    ]
    for (const [fields, says] of rows) assert.equal(status(await ask(fields)), says, JSON.stringify(fields))
  })
})
