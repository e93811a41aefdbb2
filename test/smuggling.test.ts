// Long because it is a corpus: what breaks proxies is known, and each line of it once did.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { get } from './caller.ts'
import { answerOf, type Message, openRaw, type RawScript, startRawAppliance, targetOf } from './raw-http.ts'
import { applianceAt, type Context, eventually, startProxy } from './rig.ts'

const plain: RawScript = { answer: (message, socket) => socket.write(answerOf(targetOf(message))) }

async function start(t: Context, script: RawScript = plain) {
  const appliance = await startRawAppliance(t, script)
  const { url } = await startProxy(t, [applianceAt(appliance, 'azure')])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { ...appliance, url }
}

/** What a reader who lost count would take for a request of its own. */
const SECOND = 'GET /box/second HTTP/1.1\r\nHost: localhost\r\n\r\n'

function post(fields: string, body: string): string {
  return `POST /box/first HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n\r\n${body}`
}

function asked(line: string, fields = 'X-A: b'): string {
  return `${line}\r\nHost: localhost\r\n${fields}\r\n\r\n`
}

/** Long enough for a request too many to have arrived. */
const aWhile = () => sleep(40)

/**
 * `refused`: nothing goes up, and the connection is closed, with a status of an error or none. `declined`: it gets such
 * a status and does not go up, but where it ends is beyond doubt, so the request behind it is served. Otherwise it goes
 * up, as one request with that body.
 */
type Row = [name: string, bytes: string, outcome: 'refused' | 'declined' | { body: string; target?: string }]

const lengths: Row[] = [
  ['a length and chunks', post('Content-Length: 5\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SECOND}`), 'refused'],
  ['chunks and a length', post('Transfer-Encoding: chunked\r\nContent-Length: 5', `0\r\n\r\n${SECOND}`), 'refused'],
  ['a length of nothing and chunks', post('Content-Length: 0\r\nTransfer-Encoding: chunked', SECOND), 'refused'],
  ['the same length twice', post('Content-Length: 2\r\nContent-Length: 2', `ok${SECOND}`), 'refused'],
  ['two different lengths', post('Content-Length: 0\r\nContent-Length: 47', SECOND), 'refused'],
  ['a length with spaces around', post('Content-Length: \t 2 ', 'ok'), { body: 'ok' }],
  ...['+2', '-2', '0x2', '2, 2', '2 2', '', '2.0', 'two', '1e1', '18446744073709551618', '2;', '"2"', '\u00b2'].map(
    (length): Row => [`the length ${length}`, post(`Content-Length: ${length}`, `ok${SECOND}`), 'refused'],
  ),
  ...['Content-Length : 2', 'Content-Length\t: 2', ' Content-Length: 2', 'X: y\r\n Content-Length: 2'].map(
    (line): Row => [`the line ${JSON.stringify(line)}`, post(line, `ok${SECOND}`), 'refused'],
  ),
]

const codings: Row[] = [
  ['chunks', post('Transfer-Encoding: \tchunked ', '2\r\nok\r\n0\r\n\r\n'), { body: 'ok' }],
  ['chunks in capitals', post('TRANSFER-ENCODING: CHUNKED', '2\r\nok\r\n0\r\n\r\n'), { body: 'ok' }],
  ...[
    'xchunked',
    'chunkedx',
    'chunked, identity',
    'chunked, chunked',
    'chunked,',
    ',chunked',
    'chunked;x=1',
    '"chunked"',
    'chunked\x0b',
    'identity',
    'gzip',
    'gzip, chunked',
    'identity, chunked',
    '',
  ].map((coding): Row => {
    const body = `2\r\nok\r\n0\r\n\r\n${SECOND}`
    return [`the coding ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}`, body), 'refused']
  }),
  ...[
    'Transfer-Encoding : chunked',
    'Transfer-Encoding\t: chunked',
    'Transfer-Encoding:\r\n chunked',
    'X: y\r\n Transfer-Encoding: chunked',
    'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    '\x0bTransfer-Encoding: chunked',
    'Transfer-Encoding',
  ].map((line): Row => [`the line ${JSON.stringify(line)}`, post(line, `2\r\nok\r\n0\r\n\r\n${SECOND}`), 'refused']),
  ['no coding at all', post('Transfer-Encoding:', SECOND), 'refused'],
  [
    'chunks in HTTP/1.0',
    post('Transfer-Encoding: chunked', `2\r\nok\r\n0\r\n\r\n${SECOND}`).replace('1.1', '1.0'),
    'refused',
  ],
  ['an underscore', post('Content-Length: 2\r\nTransfer_Encoding: chunked', 'ok'), { body: 'ok' }],
]

const chunks: Row[] = [
  ...[
    '10000000000000002',
    'fffffffffffffffff',
    ' 2',
    '0x2',
    '+2',
    '-2',
    '',
    'g',
    '2 2',
    '2\x00',
    `2;${'x'.repeat(20_000)}`,
    `2;a="\x01"`,
  ].map((size): Row => {
    const bytes = post('Transfer-Encoding: chunked', `${size}\r\nok\r\n0\r\n\r\n${SECOND}`)
    return [`a chunk size ${JSON.stringify(size.slice(0, 30))}`, bytes, 'refused']
  }),
  ['a chunk extension', post('Transfer-Encoding: chunked', '2;a="b"\r\nok\r\n0\r\n\r\n'), { body: 'ok' }],
  ['leading zeros', post('Transfer-Encoding: chunked', '0000002\r\nok\r\n0\r\n\r\n'), { body: 'ok' }],
  ['a chunk line that ends with LF', post('Transfer-Encoding: chunked', `2\nok\r\n0\r\n\r\n${SECOND}`), 'refused'],
  ['a chunk that ends with LF', post('Transfer-Encoding: chunked', `2\r\nok\n0\r\n\r\n${SECOND}`), 'refused'],
  ['a chunk longer than its size', post('Transfer-Encoding: chunked', `1\r\nok\r\n0\r\n\r\n${SECOND}`), 'refused'],
  ['an end that ends with LF', post('Transfer-Encoding: chunked', `2\r\nok\r\n0\n\n${SECOND}`), 'refused'],
  ['a trailer without a name', post('Transfer-Encoding: chunked', `2\r\nok\r\n0\r\n: x\r\n\r\n${SECOND}`), 'refused'],
  ...['Content-Length: 47', 'Transfer-Encoding: chunked'].map(
    (trailer): Row => [
      `the trailer ${trailer}`,
      post('Transfer-Encoding: chunked', `2\r\nok\r\n0\r\n${trailer}\r\n\r\n${SECOND}`),
      'refused',
    ],
  ),
  ...['Host: other', 'Authorization: Bearer mine', 'X-Api-Version: 1.0-rev0'].map(
    (trailer): Row => [
      `the trailer ${trailer}`,
      post('Transfer-Encoding: chunked', `2\r\nok\r\n0\r\n${trailer}\r\n\r\n`),
      { body: 'ok' },
    ],
  ),
]

const GET = 'GET /box/first HTTP/1.1'
const lines: Row[] = [
  ['empty lines before it', `\r\n\r\n${asked(GET)}`, { body: '' }],
  ['an empty value', asked(GET, 'X-A:'), { body: '' }],
  ['bytes beyond ASCII in a value', asked(GET, 'X-A: \xe9\xff'), { body: '' }],
  ...[
    'X-A: b\rX-C: d',
    'X-A: b\r\rX-C: d',
    `X-A: b\r\r\n${SECOND}`,
    `X-A: b\n\n${SECOND}`,
    'X-A: b\nContent-Length: 47',
    'X-A: b\0c',
    'X-A: b\x01',
    'X-A: b\x1b[31m',
    'X-A: b\x7f',
    'X\0A: b',
    'X\x01A: b',
    'X\x7fA: b',
    'X A: b',
    'X-A : b',
    'X\xe9: b',
    '(X): b',
    'X/A: b',
    ': b',
    'X-A',
    'X-A: b\r\n folded',
    'X-A: b\r\n\tfolded',
    ' X-A: b',
  ].map((line): Row => [`the line ${JSON.stringify(line)}`, `${asked(GET, line)}${SECOND}`, 'refused']),
]

const firstLines: Row[] = [
  ...['GET * HTTP/1.1', 'OPTIONS * HTTP/1.1', 'TRACE /box/first HTTP/1.1'].map(
    (line): Row => [`the first line ${JSON.stringify(line)}`, asked(line) + SECOND, 'declined'],
  ),
  ...[
    'GET http://other.example/box/first HTTP/1.1',
    'GET http://localhost/box/first HTTP/1.1',
    'GET HTTP://localhost/../box HTTP/1.1',
    'POST https://box.localhost/first HTTP/1.1',
    'GET localhost:80 HTTP/1.1',
    'CONNECT http://localhost/box/first HTTP/1.1',
    'GET box/first HTTP/1.1',
    'CONNECT localhost:443 HTTP/1.1',
    'CONNECT /box/first HTTP/1.1',
    'TRACK /box/first HTTP/1.1',
    'get /box/first HTTP/1.1',
    'GET\t/box/first\tHTTP/1.1',
    'GET /box/fi\trst HTTP/1.1',
    'GET /box/fi rst HTTP/1.1',
    'GET /box/fi\0rst HTTP/1.1',
    'GET /box/fi\x01rst HTTP/1.1',
    'GET /box/fi\x7frst HTTP/1.1',
    'GET /box/fi\rrst HTTP/1.1',
    'GET /box/first\r HTTP/1.1',
    'GET /box/first HTTP/1.1 HTTP/1.1',
    'GET /box/first HTTP/1.2',
    'GET /box/first HTTP/1.10',
    'GET /box/first HTTP/2.0',
    'GET /box/first HTTP/3',
    'GET /box/first HTTP/0.9',
    'GET /box/first http/1.1',
    'GET /box/first HTTPS/1.1',
    'GET /box/first ICE/1.0',
    'GET /box/first',
    'GET  HTTP/1.1',
    ' GET /box/first HTTP/1.1',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  ].map((line): Row => [`the first line ${JSON.stringify(line)}`, asked(line) + SECOND, 'refused']),
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'refused'],
  [
    'an upgrade to h2c',
    asked(GET, 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA'),
    { body: '' },
  ],
  [
    'an upgrade, a length and chunks',
    post(
      'Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\nTransfer-Encoding: chunked',
      `0\r\n\r\n${SECOND}`,
    ),
    'refused',
  ],
  ['HTTP/1.0', asked('GET /box/first HTTP/1.0'), { body: '' }],
  ['bytes beyond ASCII in its path', asked('GET /box/first\xc3\xbc HTTP/1.1') + SECOND, 'refused'],
]

for (const [family, rows] of Object.entries({ lengths, codings, chunks, lines, 'first lines': firstLines })) {
  test(`odd ${family}: refused, or forwarded as exactly one request that can be read in one way only`, async t => {
    const { url, requests, faults } = await start(t)
    const callers = rows.map(([name, bytes, outcome], i) => {
      const caller = openRaw(t, url)
      caller.say(numbered(bytes, i))
      return { name, outcome, i, caller }
    })
    await Promise.all(callers.map(({ caller }) => caller.heard(1)))
    await aWhile()
    const wrong: unknown[] = []
    for (const { name, outcome, i, caller } of callers) {
      const up = requests.filter(request => targetOf(request).slice(2, 5) === `${i}`.padStart(3, '0'))
      const got = up.map(request => [targetOf(request), request.body.toString()])
      const statuses = caller.statuses()
      const [expected, holds] = expectedOf(outcome, i)
      if (!isDeepStrictEqual(got, expected) || !holds(statuses)) wrong.push({ name, got, statuses })
    }
    assert.deepEqual([wrong, faults], [[], []])
    assert.equal((await get(url, '/-/livez')).status, 200)
  })
}

/** The same bytes, as many, with the number of their row in each target. */
function numbered(text: string, i: number): string {
  const number = `${i}`.padStart(3, '0')
  return text.replaceAll('/first', `/f${number}x`).replaceAll('/second', `/s${number}xx`)
}

/** What goes up, and what the statuses of the answers must be. */
function expectedOf(outcome: Row[2], i: number): [string[][], (statuses: number[]) => boolean] {
  const isRefusal = (status: number | undefined) => status === undefined || (status >= 400 && status !== 500)
  if (outcome === 'refused') return [[], ([first, ...more]) => isRefusal(first) && more.length === 0]
  const second = [numbered('/second', i), '']
  if (outcome === 'declined') return [[second], ([first, then]) => isRefusal(first) && then === 200]
  return [[[numbered(outcome.target ?? '/first', i), outcome.body]], statuses => statuses.join() === '200']
}

test('who takes it for an HTTP proxy is told what to set instead, and the connection ends', async t => {
  const { url, requests } = await start(t)
  for (const line of ['GET http://appliance.example/first HTTP/1.1', 'CONNECT appliance.example:443 HTTP/1.1']) {
    const caller = openRaw(t, url)
    caller.say(`${line}\r\nHost: appliance.example:443\r\nProxy-Connection: keep-alive\r\n\r\n${SECOND}`)
    await caller.closed()
    const [answer, ...more] = caller.answers().whole
    const problem = JSON.parse(answer?.body.toString() ?? '')
    assert.deepEqual([caller.statuses(), more, problem.code], [[400], [], 'NOT_A_FORWARD_PROXY'], line)
    assert.match(problem.remedy, /http:\/\/localhost:8080\/NAME.*http_proxy/)
  }
  const caller = openRaw(t, url)
  caller.say(`${asked(GET)}CONNECT appliance.example:443 HTTP/1.1\r\nHost: appliance.example:443\r\n\r\n`)
  await caller.closed()
  assert.deepEqual([caller.statuses(), requests.map(targetOf)], [[200], ['/first']], 'what came before is answered')
})

test('a body that is not whole is no request: its caller leaves, and nothing more goes up', async t => {
  const { url, requests, faults } = await start(t)
  for (const bytes of [
    post('Content-Length: 10', 'ok'),
    post('Content-Length: 100000', SECOND),
    post('Transfer-Encoding: chunked', ''),
    post('Transfer-Encoding: chunked', '2\r\nok'),
    post('Transfer-Encoding: chunked', '2\r\nok\r\n0\r\n'),
    post('Transfer-Encoding: chunked', '2\r\nok\r\n0\r\nX-Trailer: 1\r\n'),
    post('Transfer-Encoding: chunked', `ffffffffffffffff\r\n${SECOND}`),
    'GET /box/first HTTP/1.1\r\nHost: localhost\r\n',
  ]) {
    const caller = openRaw(t, url)
    caller.say(bytes)
    await aWhile()
    caller.socket.destroy()
    await aWhile()
    assert.deepEqual([requests, caller.text()], [[], ''], bytes)
  }
  for (let i = 0; i < 20; i++) assert.equal((await get(url, `/box/whole-${i}`)).text, `/whole-${i}`)
  assert.deepEqual([requests.length, faults], [20, []])
})

test('requests in one packet are one request upstream each, and are answered in their order', async t => {
  const { url, requests, faults } = await start(t, {
    answer(message, socket) {
      const wait = targetOf(message).startsWith('/slow') ? 150 : 0
      setTimeout(() => socket.write(answerOf(targetOf(message) + message.body)), wait)
    },
  })
  const caller = openRaw(t, url)
  const targets = Array.from({ length: 10 }, (_, i) => `/${i % 3 === 0 ? 'slow' : 'fast'}-${i}`)
  const packet = targets.map((target, i) =>
    i % 2 === 0
      ? `GET /box${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`
      : `POST /box${target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n:b`,
  )
  caller.say(packet.join(''))
  await caller.heard(targets.length)
  const bodies = caller.answers().whole.map(({ body }) => body.toString())
  assert.deepEqual(
    bodies,
    targets.map((target, i) => (i % 2 === 0 ? target : `${target}:b`)),
  )
  assert.deepEqual([requests.map(targetOf).sort(), faults], [targets.sort(), []])
})

test('what follows a last request is no request, and what is none spoils no answer before it', async t => {
  const { url, requests } = await start(t)
  for (const bytes of [asked(GET, 'Connection: close') + SECOND, `${asked(GET)}\0${SECOND}`]) {
    requests.length = 0
    const caller = openRaw(t, url)
    caller.say(bytes)
    await caller.closed()
    await aWhile()
    assert.deepEqual([caller.statuses()[0], requests.map(targetOf)], [200, ['/first']])
    assert.ok(
      caller
        .statuses()
        .slice(1)
        .every(status => status === 400),
    )
  }
})

test('who offers another protocol is served in HTTP/1.1, body and following requests included', async t => {
  const { url, requests, faults } = await start(t)
  for (const offer of ['h2c', 'foo/1', 'h2c, websocket', 'TLS/1.0']) {
    requests.length = 0
    const upgrade = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${offer}\r\nHTTP2-Settings: AAMAAABkAARAAAAA`
    const caller = openRaw(t, url)
    caller.say(post(`${upgrade}\r\nContent-Length: 2`, 'ok'))
    await caller.heard(1)
    caller.say(post(`${upgrade}\r\nTransfer-Encoding: chunked`, '2\r\nok\r\n0\r\n\r\n'))
    await caller.heard(2)
    caller.say(asked(GET, upgrade) + SECOND)
    await caller.heard(4)
    assert.deepEqual([caller.statuses(), faults], [[200, 200, 200, 200], []], offer)
    const up = requests.map(request => `${targetOf(request)} ${request.body}`).sort()
    assert.deepEqual(up, ['/first ', '/first ok', '/first ok', '/second '], offer)
  }
})

test('a large upload that is answered early leaves its connection usable, or closed in order', async t => {
  const refused = 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n'
  const early = (message: Message, stays: boolean) => message.start.startsWith('POST') && stays
  for (const reads of ['on', 'no more', 'and closes']) {
    const { url } = await start(t, {
      ...plain,
      early(message, socket) {
        if (!early(message, true)) return false
        if (reads === 'and closes') socket.end(refused)
        else socket.write(refused)
        if (reads === 'no more') socket.pause()
        return true
      },
    })
    const caller = openRaw(t, url)
    const size = 4_000_000
    caller.say(`POST /box/first HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${size}\r\n\r\n`)
    for (let sent = 0; sent < size; sent += 100_000) caller.say(Buffer.alloc(100_000, SECOND))
    caller.say(SECOND)
    await caller.heard(2)
    const [first, ...others] = caller.answers().whole
    assert.equal(first?.start.split(' ')[1], '413', `it reads ${reads}: ${caller.text()}`)
    assert.deepEqual(
      others.map(({ body }) => body.toString()),
      caller.ending() === undefined ? ['/second'] : [],
    )
    assert.ok(caller.ending() === undefined || caller.ending() === 'end', caller.ending())
    assert.equal((await get(url, '/box/third')).text, '/third')
  }
})

test('a caller that has said all it will say is served once, or let go', async t => {
  const { url, requests, faults } = await start(t)
  for (const bytes of [asked(GET), post('Content-Length: 2', 'ok')]) {
    requests.length = 0
    const caller = openRaw(t, url)
    caller.socket.end(bytes)
    await caller.closed()
    await aWhile()
    assert.deepEqual([requests.length <= 1, faults, caller.ending()], [true, [], 'end'])
    assert.ok(caller.text() === '' || caller.statuses().join() === '200', caller.text())
    assert.equal((await get(url, '/-/livez')).status, 200)
  }
})
