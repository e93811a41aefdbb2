import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { describe, test } from 'node:test'
import { get, valuesOf } from './caller.ts'
import { answerOf, type Message, openRaw, type RawScript, startRawAppliance, targetOf } from './raw-http.ts'
import { applianceAt, type Context, eventually, startProxy } from './rig.ts'

/** An appliance that reads and says bytes, and the ways in to it: under its name, and at a listener of its own. */
async function start(t: Context, script: Partial<RawScript> = {}) {
  const appliance = await startRawAppliance(t, { answer: (_, socket) => socket.write(answerOf('ok')), ...script })
  const listen = [{ address: { host: '127.0.0.1', port: 0 }, files: [] }]
  const access = { rule: {}, credentials: true }
  const { url, server } = await startProxy(t, [applianceAt(appliance, 'azure', { listen, access })])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const ownUrl = server.servedAt('box')[1]?.replace(/\/$/, '') ?? ''
  const ways = [
    { url, mount: '/box' },
    { url: ownUrl, mount: '' },
  ]
  return { requests: appliance.requests, faults: appliance.faults, ways, proxyUrl: url }
}

type Box = Awaited<ReturnType<typeof start>>

/** Sends a request by both ways in; what arrived at the appliance, which is the same for both. */
async function sent(t: Context, { ways, requests, faults }: Box, request: (mount: string) => string): Promise<Message> {
  const arrived: Message[] = []
  for (const { url, mount } of ways) {
    const caller = openRaw(t, url)
    caller.say(request(mount))
    await caller.heard(1)
    assert.deepEqual(caller.statuses(), [200], caller.text())
    const message = requests.at(-1)
    assert.ok(message)
    arrived.push(message)
  }
  assert.deepEqual(faults, [])
  const [first, second] = arrived
  assert.ok(first && second)
  assert.deepEqual([second.start, second.body], [first.start, first.body])
  return first
}

describe('an odd request', { concurrency: 4 }, () => {
  test('GET with a form content type and a length of nothing arrives as a GET without a body', async t => {
    const box = await start(t)
    for (const fields of [
      'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n',
      'content-type: application/x-www-form-urlencoded\r\n',
      'Content-Length: 0\r\nCookie: X-RestSvcSessionId=x\r\n',
    ]) {
      const {
        start: line,
        raw,
        body,
      } = await sent(t, box, mount => `GET ${mount}/v7/Jobs HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`)
      assert.deepEqual([line, body.length, valuesOf(raw, 'content-length')], ['GET /v7/Jobs HTTP/1.1', 0, []])
      const type = /content-type/i.test(fields) ? ['application/x-www-form-urlencoded'] : []
      assert.deepEqual(valuesOf(raw, 'content-type'), type)
      assert.deepEqual(valuesOf(raw, 'cookie'), [])
    }
  })

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    for (const length of ['Content-Length: 0\r\n', '']) {
      test(`${method} with a JSON content type and no body, ${length ? 'saying so' : 'saying nothing of it'}, arrives without one`, async t => {
        const box = await start(t)
        for (const type of ['application/json', 'application/xml', 'application/json-patch+json; charset=utf-8']) {
          const {
            start: line,
            raw,
            body,
          } = await sent(
            t,
            box,
            mount => `${method} ${mount}/v8/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${length}\r\n`,
          )
          assert.deepEqual([line, body.length], [`${method} /v8/x HTTP/1.1`, 0])
          assert.deepEqual(valuesOf(raw, 'content-type'), [type])
          assert.deepEqual(valuesOf(raw, 'transfer-encoding'), [])
        }
      })
    }
  }

  test('an upload in chunks of any size, with extensions, arrives whole', async t => {
    const box = await start(t)
    const body = '1\r\na\r\n0002;x=y\r\nbc\r\nA\r\n0123456789\r\n0\r\n\r\n'
    const { raw, body: arrived } = await sent(
      t,
      box,
      mount => `POST ${mount}/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\n${body}`,
    )
    assert.equal(arrived.toString(), 'abc0123456789')
    assert.equal(valuesOf(raw, 'transfer-encoding').length + valuesOf(raw, 'content-length').length, 1)
  })

  test('a path of mixed case, double slashes and escapes arrives byte for byte, repeated keys of the query too', async t => {
    const box = await start(t)
    for (const path of [
      '/V7/objectStorageREPOSITORIES//x/',
      '//login',
      '/api//sessionMngr/?v=latest',
      '/v8/x?Types=A&types=B&Types=C&Types=',
      '/v8/x?from=2026-11-21T02%3A39%3A20.021260%2B00%3A00&q=a+b%20c',
      '/v8/%7Bid%7D/%41;a=b?',
    ]) {
      const message = await sent(t, box, mount => `GET ${mount}${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      assert.equal(targetOf(message), path)
    }
  })

  test('every method that HTTP/1.1 libraries know arrives as it is, but for CONNECT and TRACE', async t => {
    const box = await start(t)
    for (const method of ['OPTIONS', 'PROPFIND', 'REPORT', 'QUERY', 'MKCOL', 'LOCK', 'SEARCH', 'PURGE', 'M-SEARCH']) {
      if (!METHODS.includes(method)) {
        assert.equal(method, 'QUERY', 'which some versions of Node.js do not know')
        continue
      }
      for (const [fields, body] of [
        // RFC 10008, section 2: a QUERY without a type fails.
        [method === 'QUERY' ? 'Content-Type: text/xml\r\n' : '', ''],
        ['Content-Type: text/xml\r\nContent-Length: 4\r\n', '<a/>'],
      ]) {
        const { start: line, body: arrived } = await sent(
          t,
          box,
          mount => `${method} ${mount}/x HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n${body}`,
        )
        assert.deepEqual([line, arrived.toString()], [`${method} /x HTTP/1.1`, body])
      }
    }
    const before = box.requests.length
    for (const request of ['TRACE /box/x', 'CONNECT localhost:1', 'get /box/x', 'NONSENSE /box/x']) {
      const caller = openRaw(t, box.proxyUrl)
      caller.say(`${request} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      await eventually('an answer or the end', () => caller.ending() !== undefined || caller.text() !== '')
      assert.doesNotMatch(caller.text(), /^HTTP\/1\.1 2/, request)
    }
    assert.equal(box.requests.length, before)
  })

  test('Connection: close is answered and ends its connection, on which no more is read', async t => {
    const { ways, requests } = await start(t)
    for (const { url, mount } of ways) {
      const before = requests.length
      const caller = openRaw(t, url)
      const request = (path: string) => `GET ${mount}${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
      caller.say(request('/1') + request('/2'))
      await caller.closed()
      const [answer, ...others] = caller.answers().whole
      assert.deepEqual([answer?.body.toString(), others.length], ['ok', 0])
      assert.deepEqual(valuesOf(answer?.raw ?? [], 'connection'), ['close'])
      assert.equal(requests.length, before + 1)
      assert.deepEqual(valuesOf(requests.at(-1)?.raw ?? [], 'connection'), ['keep-alive'])
    }
  })

  test('HTTP/1.0 is served, arrives as HTTP/1.1, and keeps its connection only when it asks for that', async t => {
    const { ways, requests } = await start(t)
    for (const { url, mount } of ways) {
      const once = openRaw(t, url)
      once.say(`POST ${mount}/x HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi`)
      await once.closed()
      assert.match(once.text(), /^HTTP\/1\.1 200 .*\r\n\r\nok$/s)
      assert.deepEqual([requests.at(-1)?.start, requests.at(-1)?.body.toString()], ['POST /x HTTP/1.1', 'hi'])
      const kept = openRaw(t, url)
      for (let nth = 1; nth <= 2; nth += 1) {
        kept.say(`GET ${mount}/x HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n`)
        await kept.heard(nth)
      }
      assert.deepEqual([kept.statuses(), kept.ending()], [[200, 200], undefined])
    }
    const nameless = openRaw(t, ways[0]?.url ?? '')
    nameless.say('GET /box/x HTTP/1.0\r\n\r\n')
    await nameless.closed()
    assert.match(nameless.text(), /^HTTP\/1\.1 400 /, 'without Host nobody knows who was meant')
  })
})

describe('an odd answer', { concurrency: 4 }, () => {
  test('a part of a body comes down with its range, and what the caller asked for went up', async t => {
    const box = await start(t, {
      answer: (_, socket) =>
        socket.write(
          'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/10\r\nAccept-Ranges: bytes\r\nContent-Type: application/json\r\nContent-Length: 4\r\nETag: "1"\r\n\r\n2345',
        ),
    })
    for (const { url, mount } of box.ways) {
      const caller = openRaw(t, url)
      caller.say(`GET ${mount}/x HTTP/1.1\r\nHost: localhost\r\nRange: bytes=2-5\r\nIf-Range: "1"\r\n\r\n`)
      await caller.heard(1)
      const [answer] = caller.answers().whole
      const raw = answer?.raw ?? []
      assert.deepEqual([caller.statuses(), answer?.body.toString()], [[206], '2345'])
      assert.deepEqual(
        ['content-range', 'accept-ranges', 'content-length', 'etag'].map(name => valuesOf(raw, name).join()),
        ['bytes 2-5/10', 'bytes', '4', '"1"'],
      )
      const up = box.requests.at(-1)?.raw ?? []
      assert.deepEqual([valuesOf(up, 'range'), valuesOf(up, 'if-range')], [['bytes=2-5'], ['"1"']])
    }
  })

  test('a HEAD is answered with the fields alone, and its connection serves the next request', async t => {
    const { ways } = await start(t, {
      answer: ({ start: line }, socket) =>
        socket.write(
          line.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX: y\r\n\r\n' : answerOf('ok'),
        ),
    })
    for (const { url, mount } of ways) {
      const caller = openRaw(t, url)
      caller.say(`HEAD ${mount}/x HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      await eventually('the head', () => caller.text().endsWith('\r\n\r\n'))
      assert.match(caller.text(), /^HTTP\/1\.1 200 OK\r\n.*Content-Length: 1234\r\n/s)
      caller.say(`GET ${mount}/x HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      await eventually('the answer after it', () => caller.text().endsWith('\r\n\r\nok'))
    }
  })

  test('OPTIONS comes down with Allow, as the appliance says it', async t => {
    const { ways } = await start(t, {
      answer: (_, socket) => socket.write('HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, PROPFIND\r\nDAV: 1\r\n\r\n'),
    })
    for (const { url, mount } of ways) {
      const caller = openRaw(t, url)
      caller.say(`OPTIONS ${mount}/x HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      await caller.heard(1)
      assert.deepEqual(caller.statuses(), [204])
      assert.deepEqual(valuesOf(caller.answers().whole[0]?.raw ?? [], 'allow'), ['GET, HEAD, PROPFIND'])
    }
  })

  test('a body that begins with a byte-order mark comes down with it, and goes up with it', async t => {
    const marked = '\u{feff}{"href":"/v8/x","text":"ü"}'
    const box = await start(t, {
      answer: (_, socket) => socket.write(answerOf(marked, 'Content-Type: application/json')),
    })
    for (const { url, mount } of box.ways) {
      const caller = openRaw(t, url)
      const body = Buffer.from(marked)
      caller.say(
        `POST ${mount}/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
      )
      caller.say(body)
      await caller.heard(1)
      const wanted = mount === '' ? marked : marked.replace('"/v8', '"/box/v8')
      assert.equal(caller.answers().whole[0]?.body.toString(), wanted)
      assert.ok(box.requests.at(-1)?.body.equals(body))
    }
  })

  test('server-sent events come down one by one as the appliance sends them, their head before the first', async t => {
    const { ways } = await start(t, {
      answer(_, socket) {
        socket.write(
          'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n',
        )
        setTimeout(() => socket.write('9\r\ndata: 1\n\n\r\n'), 800)
        setTimeout(() => socket.write('9\r\ndata: 2\n\n\r\n'), 1_600)
      },
    })
    for (const { url, mount } of ways) {
      const caller = openRaw(t, url)
      caller.say(`GET ${mount}/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`)
      await eventually('the head', () => caller.text().includes('\r\n\r\n'), 5_000)
      assert.doesNotMatch(caller.text(), /data/, 'the head does not wait for an event')
      await eventually('the first event', () => caller.text().includes('data: 1\n\n'), 5_000)
      assert.doesNotMatch(caller.text(), /data: 2/)
      await eventually('the second event', () => caller.text().includes('data: 2\n\n'), 5_000)
      caller.socket.destroy()
    }
  })
})
