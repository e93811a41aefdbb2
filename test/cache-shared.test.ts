import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Redactor } from '../src/redactor.ts'
import { ProxyServer } from '../src/server.ts'
import { age, type Fields, give, MB, startWaiting, status } from './cache-rig.ts'
import { call, open } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, silent } from './rig.ts'

// Over 250 lines: every way in which requests for the same can end, each with the same appliance that waits.

const JSON_FIELDS = { 'content-type': 'application/json' }

// Nearly all of this is waiting, so the tests wait side by side.
describe('requests for the same at the same time', { concurrency: 4 }, () => {
  for (const ttl of [0, 10_000]) {
    test(`64 callers at once are one request to the appliance, with a ttl of ${ttl / 1000} s`, async t => {
      const { answers, crowd, come, count, inFlight, ask } = await startWaiting(t, { cache: { ttl } })
      const replies = await crowd(64)
      await come(1)
      assert.equal(inFlight(), 1)
      give(answers[0], '{"a":1}', { 'x-other': '1' })
      const all = await Promise.all(replies)
      const seen = all.map(reply => `${reply.status} ${reply.text} ${reply.fields['x-other']} ${status(reply)}`)
      const first = ttl === 0 ? 'fwd=uri-miss' : 'fwd=uri-miss; stored'
      assert.equal(seen.filter(line => line === `200 {"a":1} 1 ${first}`).length, 1)
      assert.equal(seen.filter(line => line === '200 {"a":1} 1 fwd=uri-miss; collapsed').length, 63)
      assert.equal(all.filter(reply => age(reply) === '0').length, 63)
      assert.deepEqual([count(), inFlight()], [1, 0])
      const next = ask()
      if (ttl === 0) {
        await come(2)
        give(answers[1])
      }
      assert.equal(status(await next), ttl === 0 ? 'fwd=uri-miss' : 'hit; ttl=10')
    })
  }

  test('the first one gets its answer as it comes, and one who comes in the middle gets all of it', async t => {
    const { answers, come, url, together, ask, count } = await startWaiting(t)
    const opening = open(url, { path: '/box/x' })
    await come(1)
    answers[0]?.writeHead(200, JSON_FIELDS)
    answers[0]?.write('[1,')
    const reply = await opening
    const pieces: Buffer[] = []
    reply.on('data', chunk => pieces.push(chunk))
    await eventually('the first piece is there', () => pieces.length === 1)
    const [late] = await together([ask()])
    answers[0]?.end('2]')
    await eventually('it has ended', () => reply.complete)
    assert.equal(Buffer.concat(pieces).toString(), '[1,2]')
    assert.deepEqual([(await late)?.text, (await late)?.fields['content-length'], count()], ['[1,2]', '5', 1])
  })

  for (const when of ['before', 'after']) {
    test(`the first one leaves ${when} the answer has begun: the others are still served, and it is kept`, async t => {
      const { answers, leaver, crowd, come, cut, inFlight, ask, count } = await startWaiting(t, {
        cache: { ttl: 10_000 },
      })
      const first = await leaver()
      const others = await crowd(3)
      await come(1)
      if (when === 'after') {
        answers[0]?.writeHead(200, JSON_FIELDS)
        answers[0]?.write('[1,')
        await first.heard()
      }
      await first.leave()
      assert.deepEqual([cut(), inFlight(), count()], [0, 1, 1])
      if (when === 'before') answers[0]?.writeHead(200, JSON_FIELDS)
      answers[0]?.end(when === 'after' ? '2]' : '[1,2]')
      for (const reply of await Promise.all(others)) {
        assert.deepEqual([reply.status, reply.text, status(reply)], [200, '[1,2]', 'fwd=uri-miss; collapsed'])
      }
      assert.match(status(await ask()), /^hit/)
      assert.deepEqual([count(), inFlight()], [1, 0])
    })
  }

  test('the first one leaves while it waits for its turn: the others are served when it comes', async t => {
    const { answers, leaver, crowd, come, inFlight } = await startWaiting(t, { overrides: { maxInFlight: 1 } })
    const [busy] = await crowd(1, {}, '/box/busy')
    await come(1)
    const first = await leaver()
    const others = await crowd(2)
    await first.leave()
    give(answers[0])
    await come(2)
    give(answers[1], '[2]')
    for (const reply of await Promise.all(others)) assert.equal(reply.text, '[2]')
    assert.deepEqual([(await busy)?.status, inFlight()], [200, 0])
  })

  test('the appliance is let go of when the last one has left, and the next one asks anew', async t => {
    const { answers, leaver, come, cut, inFlight, ask } = await startWaiting(t)
    const all = [await leaver(), await leaver(), await leaver()]
    await come(1)
    for (const { leave } of all) {
      assert.deepEqual([cut(), inFlight()], [0, 1])
      await leave()
    }
    await eventually('the request is cut', () => cut() === 1 && inFlight() === 0)
    const next = ask()
    await come(2)
    give(answers[1])
    assert.equal((await next).status, 200)
  })

  test('a first one that does not read holds up nobody', async t => {
    const { answers, come, server, clock } = await startWaiting(t, { cache: { ttl: 10_000 } })
    // A Unix socket holds little of what is not read; TCP between two ends of one machine holds megabytes.
    const path = join(temporaryFolder(t).path, 'proxy.sock')
    const listen = { address: { path }, files: [] }
    const parts = { log: silent, redactor: new Redactor(), version: '0', clock }
    const own = await ProxyServer.start({ ...server.configuration, listen }, parts)
    t.after(() => own.close(500))
    const ask = () => request({ socketPath: path, path: '/box/x', agent: false }).on('error', () => undefined)
    const first = ask().end()
    t.after(() => first.destroy())
    await come(1)
    give(answers[0], Buffer.alloc(MB - 1, '1'))
    await once(first, 'response')
    const other = ask().end()
    t.after(() => other.destroy())
    let got = 0
    other.on('response', reply => reply.on('data', piece => (got += piece.length)))
    await eventually('the other one has all of it', () => got === MB - 1)
    assert.equal(answers.length, 1)
  })

  const unshared: Record<string, { fields?: Fields; size?: number }> = {
    private: { fields: { 'cache-control': 'private' } },
    'not to be stored': { fields: { 'cache-control': 'no-store' } },
    'to be asked for each time': { fields: { 'cache-control': 'no-cache' } },
    'without a life of its own': { fields: { 'cache-control': 'max-age=0' } },
    'varying with everything': { fields: { vary: '*' } },
    'no JSON or XML': { fields: { 'content-type': 'text/plain' } },
    'too large': { size: 3 * MB },
  }
  for (const [what, { fields = {}, size = 2 }] of Object.entries(unshared)) {
    test(`an answer that may not be shared is the first one's, and the others ask for themselves: ${what}`, async t => {
      const { answers, crowd, come, count, inFlight } = await startWaiting(t)
      const replies = await crowd(4)
      await come(1)
      give(answers[0], Buffer.alloc(size, '0'), fields)
      await come(4)
      for (const nth of [1, 2, 3]) give(answers[nth], Buffer.alloc(size, String(nth)), fields)
      const all = await Promise.all(replies)
      const bodies = all.map(({ body }) => `${body.length} ${body.subarray(0, 1)} ${new Set(body).size}`)
      assert.deepEqual(
        bodies.toSorted(),
        ['0', '1', '2', '3'].map(nth => `${size} ${nth} 1`),
      )
      for (const reply of all) assert.equal(status(reply), 'fwd=uri-miss')
      assert.equal(count(), 4)
      await eventually('nothing is in flight', () => inFlight() === 0)
    })
  }

  test('an answer whose head says that it is too large lets the others go at once', async t => {
    const { answers, crowd, come } = await startWaiting(t)
    const replies = await crowd(3)
    await come(1)
    answers[0]?.writeHead(200, { ...JSON_FIELDS, 'content-length': 2 * MB })
    answers[0]?.flushHeaders()
    await come(3)
    for (const nth of [1, 2]) give(answers[nth])
    answers[0]?.end(Buffer.alloc(2 * MB, '0'))
    const sizes = (await Promise.all(replies)).map(({ body }) => body.length)
    assert.deepEqual(sizes.toSorted(), [2, 2, 2 * MB])
  })

  test('an answer that shows late that it is too large goes on to the first one, and the others ask', async t => {
    const { answers, crowd, come } = await startWaiting(t)
    const replies = await crowd(3)
    await come(1)
    answers[0]?.writeHead(200, JSON_FIELDS)
    answers[0]?.write(Buffer.alloc(3 * MB, '0'))
    await come(3)
    answers[0]?.end(Buffer.alloc(3 * MB, '0'))
    for (const nth of [1, 2]) give(answers[nth], String(nth))
    const all = await Promise.all(replies)
    const bodies = all.map(({ body }) => `${body.length} ${body.subarray(0, 1)} ${new Set(body).size}`)
    assert.deepEqual(bodies.toSorted(), ['1 1 1', '1 2 1', `${6 * MB} 0 1`])
  })

  test('the first one has left an answer that may not be shared: it is cut, and the others ask for themselves', async t => {
    const { answers, leaver, crowd, come, cut } = await startWaiting(t)
    const first = await leaver()
    const others = await crowd(2)
    await come(1)
    await first.leave()
    answers[0]?.writeHead(200, { 'content-type': 'text/plain' })
    answers[0]?.write('1')
    await come(3)
    await eventually('the first request is cut', () => cut() === 1)
    for (const nth of [1, 2]) give(answers[nth])
    for (const reply of await Promise.all(others)) assert.equal(reply.text, '{}')
  })

  test('who sends another field that the answer depends on asks for itself', async t => {
    const { answers, crowd, come, count } = await startWaiting(t)
    const german = await crowd(2, { 'accept-language': 'de' })
    const french = await crowd(1, { 'accept-language': 'fr' })
    await come(1)
    assert.equal(count(), 1)
    give(answers[0], '"de"', { vary: 'accept-language' })
    await come(2)
    give(answers[1], '"fr"', { vary: 'accept-language' })
    for (const reply of await Promise.all(german)) assert.equal(reply.text, '"de"')
    for (const reply of await Promise.all(french)) assert.equal(reply.text, '"fr"')
  })

  for (const code of [400, 404, 429, 500, 503]) {
    test(`${code} of the appliance is shared by those who wait, and not kept`, async t => {
      const { answers, crowd, come, count, ask } = await startWaiting(t, { cache: { ttl: 10_000 } })
      const replies = await crowd(4)
      await come(1)
      give(answers[0], 'no', { 'content-type': 'text/plain', 'retry-after': '7' }, code)
      for (const reply of await Promise.all(replies)) {
        assert.deepEqual([reply.status, reply.text, reply.fields['retry-after']], [code, 'no', '7'])
      }
      assert.equal(count(), 1)
      const next = ask()
      await come(2)
      give(answers[1])
      assert.equal((await next).status, 200)
    })
  }

  test('a failure of the proxy is told to all who wait, with its code, and the next one asks anew', async t => {
    const { answers, crowd, come, count, ask, inFlight } = await startWaiting(t)
    const replies = await crowd(4)
    await come(1)
    answers[0]?.destroy()
    for (const { status: code, json, raw } of await Promise.all(replies)) {
      assert.deepEqual([code, json.get('code'), status({ raw })], [502, 'APPLIANCE_UNREACHABLE', 'fwd=uri-miss'])
    }
    assert.deepEqual([count(), inFlight()], [1, 0])
    const next = ask()
    await come(2)
    give(answers[1])
    assert.equal((await next).status, 200)
  })

  test('an answer that breaks off in the middle is broken off for the first one, and a failure for the others', async t => {
    const { answers, come, crowd, url } = await startWaiting(t)
    const opening = open(url, { path: '/box/x' })
    await come(1)
    const others = await crowd(2)
    answers[0]?.writeHead(200, { ...JSON_FIELDS, 'content-length': 100 })
    answers[0]?.write('[1,')
    const reply = await opening
    answers[0]?.destroy()
    await assert.rejects(async () => {
      for await (const _ of reply);
    }, /aborted|ECONNRESET/)
    for (const { status: code, json } of await Promise.all(others)) {
      assert.deepEqual([code, json.get('source')], [502, 'proxy'])
    }
  })

  test('those who share hold no place among the requests in flight', async t => {
    const { answers, crowd, come, inFlight, count } = await startWaiting(t, { overrides: { maxInFlight: 2 } })
    const replies = [...(await crowd(20)), ...(await crowd(20, {}, '/box/y'))]
    await come(2)
    assert.deepEqual([inFlight(), count()], [2, 2])
    for (const response of answers) give(response)
    for (const reply of await Promise.all(replies)) assert.equal(reply.status, 200)
    assert.equal(inFlight(), 0)
  })

  test('who wants an answer of its own does not share what began before', async t => {
    const { answers, crowd, come } = await startWaiting(t)
    const first = await crowd(1)
    const own: Promise<unknown>[] = []
    for (const wanted of ['no-cache', 'no-store', 'max-age=0']) {
      const [reply] = await crowd(1, { 'cache-control': wanted })
      if (reply !== undefined) own.push(reply.then(status))
    }
    await come(4)
    for (const response of answers) give(response)
    assert.deepEqual(await Promise.all(own), ['fwd=request', 'fwd=request', 'fwd=request'])
    assert.equal((await first[0])?.status, 200)
  })

  test('who asks for an answer younger than it has become asks for itself', async t => {
    const { answers, crowd, come, clock } = await startWaiting(t)
    const patient = await crowd(2)
    const impatient = await crowd(1, { 'cache-control': 'max-age=3' })
    await come(1)
    await clock.advance(5_000)
    give(answers[0], '1')
    await come(2)
    give(answers[1], '2')
    const [first, second] = await Promise.all(patient)
    assert.deepEqual([first?.text, second?.text, second && age(second)], ['1', '1', '5'])
    assert.equal((await impatient[0])?.text, '2')
  })

  test('HEAD shares what a GET or another HEAD is asking, and a GET nothing of a HEAD', async t => {
    const { answers, come, crowd, count } = await startWaiting(t)
    const heads = await crowd(2, {}, '/box/x', { method: 'HEAD' })
    const [getting] = await crowd(1)
    const [third] = await crowd(1, {}, '/box/x', { method: 'HEAD' })
    await come(2)
    give(answers[1], '[1]')
    const [body, head] = [await getting, await third]
    assert.deepEqual([body?.text, body?.fields['content-length']], ['[1]', '3'])
    assert.deepEqual([head?.text, head?.fields['content-length']], ['', '3'])
    assert.equal(head && status(head), 'fwd=uri-miss; collapsed')
    give(answers[0], '[1]')
    for (const reply of await Promise.all(heads)) {
      assert.deepEqual([reply.status, reply.text, reply.fields['content-length']], [200, '', '3'])
    }
    assert.equal(count(), 2)
  })

  test('conditions are judged for each of those who share, the first one included', async t => {
    const { answers, ask, together, come, count } = await startWaiting(t)
    const tags = ['"a"', '"b"', '"a"', undefined]
    const replies = await together(tags.map(tag => ask(tag === undefined ? {} : { 'if-none-match': tag })))
    await come(1)
    give(answers[0], '{}', { etag: '"a"' })
    const statuses = (await Promise.all(replies)).map(reply => reply.status)
    assert.deepEqual(statuses, [304, 200, 304, 200])
    assert.equal(count(), 1)
  })

  test('a rejected token is renewed once for all who share, and they notice nothing', async t => {
    const { answers, crowd, come, count, url } = await startWaiting(t)
    const replies = await crowd(4)
    await come(1)
    give(answers[0], '{}', {}, 401)
    await come(2)
    give(answers[1], '[2]')
    for (const reply of await Promise.all(replies)) assert.deepEqual([reply.status, reply.text], [200, '[2]'])
    assert.equal(count(), 2)
    assert.equal((await call(url, { path: '/-/readyz' })).status, 200)
  })
})
