import assert from 'node:assert/strict'
import type { OutgoingHttpHeaders } from 'node:http'
import { describe, test } from 'node:test'
import { age, counted, type Fields, MB, startCached, status } from './cache-rig.ts'
import { valuesOf } from './caller.ts'

const DATE = 'Wed, 21 Oct 2015 07:28:00 GMT'
const LATER = 'Wed, 21 Oct 2015 07:28:01 GMT'
const EARLIER = 'Wed, 21 Oct 2015 07:27:59 GMT'

describe('a caller that holds an answer', { concurrency: 4 }, () => {
  const rows: { has: Fields; shows: OutgoingHttpHeaders; gets: 200 | 304 }[] = [
    { has: { etag: '"a"' }, shows: { 'if-none-match': '"a"' }, gets: 304 },
    { has: { etag: '"a"' }, shows: { 'if-none-match': 'W/"a"' }, gets: 304 },
    { has: { etag: 'W/"a"' }, shows: { 'if-none-match': '"a"' }, gets: 304 },
    { has: { etag: '"a"' }, shows: { 'if-none-match': '"b", W/"a" ,"c"' }, gets: 304 },
    { has: { etag: '"a,b"' }, shows: { 'if-none-match': '"c","a,b"' }, gets: 304 },
    { has: { etag: 'bare' }, shows: { 'if-none-match': 'bare' }, gets: 304 },
    { has: { etag: '"a"' }, shows: { 'if-none-match': '*' }, gets: 304 },
    { has: {}, shows: { 'if-none-match': '*' }, gets: 304 },
    { has: { etag: '"a"' }, shows: { 'if-none-match': '"b"' }, gets: 200 },
    { has: { etag: '"a"' }, shows: { 'if-none-match': '"A"' }, gets: 200 },
    { has: { 'last-modified': DATE }, shows: { 'if-modified-since': DATE }, gets: 304 },
    { has: { 'last-modified': DATE }, shows: { 'if-modified-since': LATER }, gets: 304 },
    { has: { 'last-modified': DATE }, shows: { 'if-modified-since': EARLIER }, gets: 200 },
    { has: { 'last-modified': DATE }, shows: { 'if-modified-since': 'yesterday' }, gets: 200 },
    { has: {}, shows: { 'if-modified-since': LATER }, gets: 200 },
    {
      has: { etag: '"a"', 'last-modified': DATE },
      shows: { 'if-none-match': '"b"', 'if-modified-since': LATER },
      gets: 200,
    },
    {
      has: { etag: '"a"', 'last-modified': DATE },
      shows: { 'if-none-match': '"a"', 'if-modified-since': EARLIER },
      gets: 304,
    },
  ]
  for (const { has, shows, gets } of rows) {
    test(`${gets} for ${JSON.stringify(shows)} where the answer has ${JSON.stringify(has)}`, async t => {
      const { ask, requests } = await startCached(t, { resource: counted(has) })
      for (const why of ['fwd=uri-miss; stored', 'hit; ttl=10']) {
        const reply = await ask(shows)
        assert.deepEqual([reply.status, status(reply)], [gets, why])
        assert.equal(reply.text, gets === 304 ? '' : '{"nth":1}')
        const head = await ask(shows, '/box/x', { method: 'HEAD' })
        assert.deepEqual([head.status, status(head)], [gets, 'hit; ttl=10'])
      }
      assert.equal(requests.length, 1)
      assert.deepEqual(
        [requests[0]?.fields['if-none-match'], requests[0]?.fields['if-modified-since']],
        [undefined, undefined],
      )
    })
  }

  test('304 has the fields that a 304 has to have, and no others of the answer', async t => {
    const fields = {
      etag: '"a"',
      'cache-control': 'max-age=60',
      'content-location': '/elsewhere',
      expires: LATER,
      date: DATE,
      vary: 'Accept',
      'last-modified': EARLIER,
      'x-other': '1',
    }
    const { ask, clock } = await startCached(t, { resource: counted(fields), overrides: { rewriteLinks: false } })
    await ask()
    await clock.advance(2_000)
    const reply = await ask({ 'if-none-match': '"a"' })
    const names = ['etag', 'cache-control', 'content-location', 'expires', 'date', 'vary', 'age', 'cache-status']
    const values = ['"a"', 'max-age=60', '/box/elsewhere', LATER, DATE, 'Accept', '2', 'veeam-auth-proxy; hit; ttl=8']
    assert.equal(reply.status, 304)
    assert.deepEqual(
      names.map(name => valuesOf(reply.raw, name).join()),
      values,
    )
    for (const name of ['content-type', 'content-length', 'last-modified', 'x-other'])
      assert.deepEqual(valuesOf(reply.raw, name), [], name)
    assert.equal((await ask()).fields['x-other'], '1')
  })
})

test('an answer without a tag gets a strong one of its bytes, and the same one while they stay the same', async t => {
  const { ask, clock, count } = await startCached(t, {
    resource: (seen, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(seen.url === '/y' ? '{"other":1}' : '{}')
    },
  })
  await ask()
  const { etag = '' } = (await ask()).fields
  assert.match(etag, /^"[\w-]{27}"$/)
  await clock.advance(10_000)
  const again = await ask({ 'if-none-match': etag })
  assert.deepEqual([again.status, status(again), age(again), again.fields.etag], [304, 'fwd=stale; stored', '0', etag])
  assert.equal(count(), 2)
  await ask({}, '/box/y')
  assert.notEqual((await ask({}, '/box/y')).fields.etag, etag)
})

test('a caller that holds an answer which is not kept gets 304 too, by the tag of the appliance', async t => {
  const answers: Fields[] = [{ 'cache-control': 'private' }, { 'content-type': 'text/plain' }]
  for (const fields of answers) {
    const { ask, requests } = await startCached(t, {
      resource: counted({ ...fields, etag: '"a"' }),
      overrides: { rewriteLinks: false },
    })
    const held = await ask({ 'if-none-match': '"a"' })
    assert.deepEqual([held.status, status(held), held.fields.etag, held.text], [304, 'fwd=uri-miss', '"a"', ''])
    const other = await ask({ 'if-none-match': '"b"' })
    assert.deepEqual([other.status, status(other), other.text], [200, 'fwd=uri-miss', '{"nth":2}'])
    assert.equal(requests.length, 2)
  }
})

test('a caller with a condition gets an answer that is too large to be kept whole and once', async t => {
  const body = Buffer.from(`"${'x'.repeat(4 * MB)}"`)
  const { ask, count } = await startCached(t, {
    overrides: { rewriteLinks: false },
    resource: (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', etag: '"a"' })
      for (let at = 0; at < body.length; at += 100_000) response.write(body.subarray(at, at + 100_000))
      response.end()
    },
  })
  const reply = await ask({ 'if-none-match': '"b"' })
  assert.deepEqual([reply.status, status(reply)], [200, 'fwd=uri-miss'])
  assert.ok(reply.body.equals(body))
  assert.equal((await ask({ 'if-none-match': '"a"' })).status, 304)
  assert.equal(count(), 2)
})

test('a request with a condition that goes past the cache takes it along to the appliance', async t => {
  const { ask, requests } = await startCached(t)
  await ask({ 'if-none-match': '"a"', 'cache-control': 'no-store' })
  assert.equal(requests[0]?.fields['if-none-match'], '"a"')
})
