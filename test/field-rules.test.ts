// Long because the rules are a table of every field.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { get, valuesOf } from './caller.ts'
import { answerOf, type Message, openRaw, type RawScript, startRawAppliance, targetOf } from './raw-http.ts'
import { applianceAt, type Context, eventually, startProxy } from './rig.ts'

const cookieToken = answerOf('{"access_token":"access-1-token","expires_in":3600}', 'Set-Cookie: own=1; path=/; secure')

async function start(t: Context, script: Partial<RawScript> = {}, product = 'google-cloud') {
  const { answer = (message: Message, socket) => socket.write(answerOf(targetOf(message))), ...rest } = script
  const appliance = await startRawAppliance(t, { token: cookieToken, answer, ...rest })
  const { url } = await startProxy(t, [applianceAt(appliance, product)])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { ...appliance, host: new URL(appliance.url).host, url }
}

type Box = Awaited<ReturnType<typeof start>>

let asked = 0

/** What the appliance gets of a request with these field lines. */
async function sent(t: Context, { url, requests }: Box, lines: readonly string[], body = ''): Promise<Message> {
  const target = `/${++asked}`
  const caller = openRaw(t, url)
  caller.say([`POST /box${target} HTTP/1.1`, 'Host: localhost', ...lines, '', body].join('\r\n'))
  await caller.heard(1)
  return requests.find(request => targetOf(request) === target) ?? assert.fail(`${lines}: ${caller.text()}`)
}

const neverUp = `authorization cookie cookie2 origin forwarded x-forwarded-for x-forwarded-host x-forwarded-proto
  x-forwarded-port x-forwarded-prefix x-forwarded-server x-forwarded-user x-forwarded-client-cert x-real-ip
  x-client-ip x-cluster-client-ip x-original-for x-original-host x-original-proto x-client-cert x-arr-clientcert
  ms-aspnetcore-clientcert ms-aspnetcore-winauthtoken x-original-uri x-original-method
  true-client-ip x-original-url x-rewrite-url x-http-method x-http-method-override x-method-override
  proxy-authorization proxy-authenticate proxy-connection proxy-features keep-alive te trailer upgrade http2-settings
  x-proxy-key x-csrf-token x-xsrf-token x-restsvcsessionid requestverificationtoken`.split(/\s+/)

/** What a field may be called so that a careless reader takes it for another. */
function spellings(name: string): string[] {
  const capitals = name.replace(/\b[a-z]/g, letter => letter.toUpperCase())
  const all = [name, name.toUpperCase(), capitals, name.replaceAll('-', '_'), capitals.replace('-', '_')]
  return [...new Set(all)]
}

const ownFields = { authorization: ['Bearer access-1-token'], 'x-api-version': ['1.4-rev0'] }

function assertOwn({ raw }: Message, box: Box, because: string): void {
  for (const [name, values] of Object.entries(ownFields)) assert.deepEqual(valuesOf(raw, name), values, because)
  assert.deepEqual(valuesOf(raw, 'host'), [box.host], because)
}

test('no spelling and no number of fields that speak of a session, a sender or a hop goes up', async t => {
  const box = await start(t)
  await Promise.all(
    neverUp.map(async name => {
      // One of our own is the only origin that is let in, and only once.
      const origin = name === 'origin' ? ['Origin: http://localhost'] : undefined
      const lines = origin ?? spellings(name).flatMap(each => [`${each}: mine`, `${each}:mine`])
      const message = await sent(t, box, [...lines, 'Content-Length: 0'])
      assertOwn(message, box, name)
      const names = new Set(spellings(name).map(each => each.toLowerCase()))
      const arrived = [...names].flatMap(each => valuesOf(message.raw, each))
      assert.deepEqual(arrived, name === 'authorization' ? ownFields.authorization : [], name)
    }),
  )
  assert.deepEqual(box.faults, [])
})

test("the cookies of the session are the only ones that go up, and a caller's Connection takes none of it away", async t => {
  const box = await start(t, {}, 'microsoft365')
  for (const lines of [
    ['Cookie: own=2', 'Cookie: a=b'],
    ['Connection: cookie, authorization', 'Cookie: own=2'],
  ]) {
    const { raw } = await sent(t, box, [...lines, 'Content-Length: 0'])
    assert.deepEqual(valuesOf(raw, 'cookie'), ['own=1'], lines.join())
    assert.deepEqual(valuesOf(raw, 'authorization'), ownFields.authorization)
  }
})

const goUp = `Accept: a/b;q=0.9, */*|Accept-Encoding: gzip, br|Accept-Language: de|Accept-Charset: x|User-Agent: probe/1.0 (x)
  If-None-Match: "a", W/"b"|If-Match: *|If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT|If-Unmodified-Since: x|If-Range: "a"
  Range: bytes=0-9,20-|Content-Type: text/odd; charset="x"|Content-Encoding: gzip|Content-Language: de|Content-MD5: x
  Content-Disposition: attachment; filename="x"|Content-Range: bytes 0-1/9|Referer: http://localhost/a?b|From: a@b.example
  Cache-Control: no-cache|Pragma: no-cache|Date: Wed, 21 Oct 2015 07:28:00 GMT|Prefer: wait=5|Priority: u=1
  Max-Forwards: 3|Idempotency-Key: "x"|SOAPAction: "x"|traceparent: 00-a-b-01|tracestate: a=b|baggage: a=b
  X-Requested-With: XMLHttpRequest|X-Request-Id: 1|X-Correlation-Id: 1|X-Api-Version: 1.2-rev0|Sec-Fetch-Mode: cors
  Sec-Fetch-Site: same-origin|Sec-CH-UA: "x"|DNT: 1|Want-Digest: x|Digest: x|Early-Data: 1|Set-Cookie-Not: x|X-Empty:
  X-Latin: \xe9\xff|X-Tab: a\tb|!#$%&'*+.^\`|~|x_with_underscores: 1|constructor: 1|toString: 1|hasOwnProperty: 1
  X-Long: ${'x'.repeat(6000)}|WebSocket-Not: 1|XForwarded-For: 1|X-Forwarded: 1|Authorization2: 1|Coo-kie: 1`

test('every other field of a caller goes up once and as it is', async t => {
  const box = await start(t)
  const lines = goUp.split(/\n|\|(?=[A-Za-z])/).map(line => line.trim())
  await Promise.all(
    lines
      .filter(line => line.includes(':'))
      .map(async line => {
        const [, name = '', value = ''] = /^([^:]+): ?(.*)$/s.exec(line) ?? []
        const { raw } = await sent(t, box, [line, 'Content-Length: 0'])
        assert.deepEqual(valuesOf(raw, name), [value], line)
        assert.deepEqual(valuesOf(raw, 'authorization'), ownFields.authorization, line)
      }),
  )
  assert.ok(lines.length > 50)
})

test('fields that come twice go up with all their values, or where only one makes sense with the first', async t => {
  const box = await start(t)
  const twice = (name: string) => [`${name}: a/a`, 'X-Between: 1', `${name.toLowerCase()}: b/b`, 'Content-Length: 0']
  for (const name of ['X-Twice', 'Accept', 'If-None-Match', 'Cache-Control', 'Via', 'x_twice']) {
    const { raw } = await sent(t, box, twice(name))
    const own = name === 'Via' ? ', 1.1 veeam-auth-proxy' : ''
    assert.equal(valuesOf(raw, name).join(', '), `a/a, b/b${own}`)
  }
  for (const name of ['Content-Type', 'User-Agent', 'Referer']) {
    assert.deepEqual(valuesOf((await sent(t, box, twice(name))).raw, name), ['a/a'])
  }
})

const nominations = [
  'authorization, x-api-version, host, content-length, cookie',
  'Authorization,X-Api-Version,Host,Via,Transfer-Encoding,Content-Type',
  'close, AUTHORIZATION, x_api_version, content_length',
  '"authorization", ,,;authorization; , keep-alive',
]

test("no Connection field of a caller takes the session's fields, the host or a byte of the body away", async t => {
  const box = await start(t)
  const body = 'x'.repeat(100_000)
  for (const connection of nominations) {
    for (const [framing, text, arrives] of [
      ['Content-Length: 2', 'ok', 'ok'],
      [`Content-Length: ${body.length}`, body, body],
      ['Transfer-Encoding: chunked', '2\r\nok\r\n0\r\n\r\n', 'ok'],
    ] as const) {
      const lines = ['X-Api-Version: 1.4-rev0', `Connection: ${connection}`, framing]
      const message = await sent(t, box, lines, text)
      assertOwn(message, box, connection)
      assert.ok(message.body.equals(Buffer.from(arrives)), `${connection}: ${framing}`)
    }
  }
  const split = await sent(t, box, ['Connection: x-a', 'X-A: 1', 'X-B: 1', 'connection: X-B', 'Content-Length: 0'])
  assert.deepEqual([valuesOf(split.raw, 'x-a'), valuesOf(split.raw, 'x-b')], [[], []])
  assert.deepEqual(box.faults, [])
})

test('trailers go up no further than the proxy', async t => {
  const box = await start(t)
  const trailers = ['X-Mine: 1', 'Authorization: Bearer mine', 'Cookie: a=mine', 'X-Api-Version: mine', 'Host: mine']
  const body = `2\r\nok\r\n0\r\n${trailers.join('\r\n')}\r\n\r\n`
  const message = await sent(t, box, ['Trailer: X-Mine, Authorization', 'Transfer-Encoding: chunked'], body)
  assert.deepEqual([message.body.toString(), message.trailers], ['ok', []])
  assert.ok(!message.raw.some(part => /mine/i.test(part)), message.raw.join())
  assertOwn(message, box, 'trailers')
})

test('a caller that waits for 100 gets it from the proxy, and any other expectation is refused', async t => {
  const { url, requests } = await start(t)
  const waiting = openRaw(t, url)
  waiting.say('POST /box/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n')
  await eventually('it goes on', () => waiting.statuses().join() === '100')
  waiting.say('ok')
  await eventually('an answer', () => waiting.statuses().join() === '100,200')
  assert.deepEqual([requests[0]?.body.toString(), valuesOf(requests[0]?.raw ?? [], 'expect')], ['ok', []])
  const other = openRaw(t, url)
  other.say('POST /box/x HTTP/1.1\r\nHost: localhost\r\nExpect: 200-ok\r\nContent-Length: 0\r\n\r\n')
  await other.heard(1)
  assert.deepEqual([other.statuses(), requests.length], [[417], 1])
})

test('what an appliance says before its answer stays with the proxy', async t => {
  const { url } = await start(t, {
    answer: (_, socket) =>
      socket.write(
        `HTTP/1.1 102 Processing\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${answerOf('ok')}`,
      ),
  })
  const caller = openRaw(t, url)
  caller.say('GET /box/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await caller.heard(1)
  await sleep(50)
  assert.deepEqual(caller.statuses(), [200])
  assert.doesNotMatch(caller.text(), /cookie|link/i)
})

const neverDown = `set-cookie set-cookie2 www-authenticate proxy-authenticate authentication-info
  proxy-authentication-info proxy-connection keep-alive te trailer upgrade http2-settings strict-transport-security
  alt-svc clear-site-data service-worker-allowed nel report-to reporting-endpoints x-restsvcsessionid x-request-id
   access-control-allow-origin access-control-allow-credentials
  access-control-allow-methods access-control-allow-headers access-control-expose-headers access-control-max-age
  access-control-allow-private-network access-control-anything x-nominated x-nominated-too`.split(/\s+/)

const goDown = [
  'Server: Kestrel',
  'server-timing: a;dur=1',
  'X-Powered-By: x',
  'Date: Wed, 21 Oct 2015 07:28:00 GMT',
  'ETag: W/"x"',
  'Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT',
  'Cache-Control: no-store',
  'Cache-Control: private',
  'Content-Type: text/odd; charset="x"',
  'Content-Encoding: odd',
  'Content-Range: bytes 0-1/9',
  'Accept-Ranges: bytes',
  'Retry-After: 7',
  'Allow: GET',
  'Vary: Accept',
  'vary: Origin',
  'Warning: 199 - "x"',
  'Via: 1.0 fred',
  'Proxy-Status: x',
  'X-Content-Type-Options: nosniff',
  'Content-Security-Policy: x',
  'X-Twice: 1',
  'x-tWICE: 2',
  'X-Twice: 1',
  'X-ODD-Case: 1',
  'x_under_scores: 1',
  'Set_Cookie: a',
  'X-Empty:',
  'X-Tab: a\tb',
  'X-Latin: \xe9\xff',
  'constructor: 1',
  '__proto__: 1',
  `X-Long: ${'x'.repeat(6000)}`,
]

test('of an answer, no session, no order to a browser and no hop comes down; every other line does, as it is', async t => {
  const fields = [
    'Connection: X-Nominated, keep-alive',
    'connection: x-nominated-too',
    ...neverDown
      .flatMap(name => spellings(name).filter(each => !each.includes('_')))
      .flatMap(each => [`${each}: a`, `${each}:b`]),
    ...goDown,
  ]
  const { url } = await start(t, {
    answer: (_, socket) => void socket.write(Buffer.from(answerOf('ok', ...fields), 'latin1')),
  })
  const caller = openRaw(t, url)
  caller.say('GET /box/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await caller.heard(1)
  const [answer] = caller.answers().whole
  assert.equal(answer?.body.toString(), 'ok')
  const raw = answer?.raw ?? []
  const lines = raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`.trimEnd()] : []))
  const own = [`X-Request-Id: ${valuesOf(raw, 'x-request-id')}`, 'Connection: keep-alive', 'Keep-Alive: timeout=72']
  assert.deepEqual(lines, ['Content-Length: 2', ...goDown, ...own])
})

test('a file name beyond ASCII comes down byte for byte, in whatever encoding the appliance wrote it', async t => {
  for (const name of ['\xe9', Buffer.from('\u00e9').toString('latin1'), Buffer.from('\u4f60').toString('latin1')]) {
    const field = `Content-Disposition: attachment; filename="${name}"`
    const { url } = await start(t, {
      answer: (_, socket) => void socket.write(Buffer.from(answerOf('ok', field), 'latin1')),
    })
    const caller = openRaw(t, url)
    caller.say('GET /box/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await caller.heard(1)
    const [answer] = caller.answers().whole
    const values = valuesOf(answer?.raw ?? [], 'content-disposition')
    assert.deepEqual([caller.statuses(), values], [[200], [`attachment; filename="${name}"`]])
  }
})

test('trailers of an answer stay with the proxy, whatever they claim to be', async t => {
  for (const trailer of ['Set-Cookie: a=b', 'Authorization: a', 'X-End: 1', 'Location: https://other.example/']) {
    const { url } = await start(t, {
      answer: (_, socket) =>
        socket.write(
          `HTTP/1.1 200 OK\r\nTrailer: X-End, Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${trailer}\r\n\r\n`,
        ),
    })
    const caller = openRaw(t, url)
    caller.say('GET /box/x HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\n\r\n')
    await caller.heard(1)
    const [answer] = caller.answers().whole
    assert.deepEqual([answer?.body.toString(), answer?.trailers], ['ok', []], trailer)
    assert.deepEqual(valuesOf(answer?.raw ?? [], 'trailer'), [])
  }
})

test('a Connection field of an answer takes away neither its length nor its end', async t => {
  const { url } = await start(t, {
    answer: (_, socket) =>
      socket.write(answerOf('ok', 'Connection: content-length, transfer-encoding, date, location', 'Location: /a')),
  })
  const caller = openRaw(t, url)
  caller.say('GET /box/x HTTP/1.1\r\nHost: localhost\r\n\r\nGET /box/y HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await caller.heard(2)
  assert.deepEqual(
    caller.answers().whole.map(({ body }) => body.toString()),
    ['ok', 'ok'],
  )
})
