// Long because it is a corpus of answers.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { ProxyServer } from '../src/server.ts'
import { get, jsonOf, statusOf, valuesOf } from './caller.ts'
import { answerOf, openRaw, type RawScript, startRawAppliance, targetOf } from './raw-http.ts'
import { applianceAt, type Context, eventually, type Overrides, silent, startProxy } from './rig.ts'

/** A proxy before an appliance that answers `/odd` with these bytes, and other paths with their own name. */
async function start(t: Context, odd: Partial<RawScript>['answer'], overrides: Overrides = {}) {
  const appliance = await startRawAppliance(t, {
    answer(message, socket, nth) {
      if (targetOf(message) === '/odd') return odd?.(message, socket, nth)
      socket.write(answerOf(message.start.startsWith('HEAD') ? '' : targetOf(message)))
    },
  })
  const proxy = await startProxy(t, [applianceAt(appliance, 'azure', overrides)])
  const { url } = proxy
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { appliance, proxy, url }
}

/** A whole answer of the appliance, a failure of the table, or an answer that visibly breaks off. */
type Outcome = { status: number; body?: string } | 'ANSWER_BROKEN' | 'APPLIANCE_UNREACHABLE' | 'broken off'

/** `closes`: the appliance closes the connection behind the bytes. */
type Row = [name: string, bytes: string, outcome: Outcome, then?: 'closes']

const OK = { status: 200, body: 'ok' }
const withLine = (line: string) => `HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 2\r\n\r\nok`
const chunked = (body: string) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`
const quoted = (text: string) => JSON.stringify(text.slice(0, 40))

const heads: Row[] = [
  ['a field of 1 MB', withLine(`X-Bomb: ${'x'.repeat(1_000_000)}`), 'ANSWER_BROKEN'],
  ['a field name of 1 MB', withLine(`${'x'.repeat(1_000_000)}: 1`), 'ANSWER_BROKEN'],
  ['20,000 fields', withLine('X-Bomb: 0123456789\r\n'.repeat(20_000).trimEnd()), 'ANSWER_BROKEN'],
  ['3,000 short fields', withLine('a: b\r\n'.repeat(3000).trimEnd()), OK],
  ['a reason of 8 KB', `HTTP/1.1 200 ${'x'.repeat(8000)}\r\nContent-Length: 2\r\n\r\nok`, OK],
  ['no reason', 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', OK],
  ['a reason with a control character', 'HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok', OK],
  ...['X A: b', ': b', 'X\0: b', 'X: a\0b', 'X: a\x01b', 'X: a\x7fb', 'X\xe9: b', 'X: a\rb', 'X', 'X/Y: b'].map(
    (line): Row => [`the line ${quoted(line)}`, withLine(line), 'ANSWER_BROKEN'],
  ),
  ...['+2', '-2', '2, 2', '0x2', '2 2', '', '18446744073709551618', '2\r\nContent-Length: 2'].map(
    (length): Row => [
      `the length ${quoted(length)}`,
      `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\nok`,
      'ANSWER_BROKEN',
    ],
  ),
  ...[
    'xchunked',
    'gzip',
    'gzip, chunked',
    'chunked, identity',
    'chunked, chunked',
    'identity\r\nTransfer-Encoding: chunked',
  ].map(
    (coding): Row => [
      `the coding ${quoted(coding)}`,
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
      'ANSWER_BROKEN',
      'closes',
    ],
  ),
  [
    'chunks and a length',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n',
    'ANSWER_BROKEN',
  ],
  [
    '101 without an upgrade',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n\0\0\0',
    'ANSWER_BROKEN',
  ],
  ['102 and nothing else', 'HTTP/1.1 102 Processing\r\n\r\n', 'APPLIANCE_UNREACHABLE', 'closes'],
  ['the status 999', 'HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok', { status: 999, body: 'ok' }],
  ['the status 600', 'HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok', { status: 600, body: 'ok' }],
  ...[
    'HTTP/1.1 099 Odd',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 20x OK',
    'HTTP/1.1 -20 OK',
    'HTTP/9.9 200 OK',
    'ICY 200 OK',
    '\0',
  ].map(
    (line): Row => [
      `the first line ${quoted(line)}`,
      `${line}\r\nContent-Length: 2\r\n\r\nok`,
      'ANSWER_BROKEN',
      'closes',
    ],
  ),
  ['the status 000', 'HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\nok', 'ANSWER_BROKEN', 'closes'],
]

const bodies: Row[] = [
  ['204 with a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok', { status: 204 }],
  [
    '204 with chunks',
    'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    { status: 204 },
  ],
  [
    '304 with the length of what it stands for',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 20\r\n\r\n',
    { status: 304 },
  ],
  ['304 with a body', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok', { status: 304 }],
  ['a body longer than its length', `${answerOf('ok')}and more`, OK],
  ['another answer behind the answer', `${answerOf('ok')}${answerOf('stolen')}`, OK],
  ['a body shorter than its length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok', 'broken off', 'closes'],
  ['chunks without an end', chunked('2\r\nok\r\n'), 'broken off', 'closes'],
  ['half an end of chunks', chunked('2\r\nok\r\n0\r\n'), 'broken off', 'closes'],
  ...[
    'zz\r\nok',
    ' 2\r\nok',
    '-2\r\nok',
    '2\nok',
    '2\r\nok\nb',
    '1\r\nok',
    '10000000000000002\r\nok',
    '2 2\r\nok',
    '\r\nok',
  ].map((chunk): Row => [`the chunk ${quoted(chunk)}`, chunked(`2\r\nok\r\n${chunk}\r\n0\r\n\r\n`), 'broken off']),
  ['a chunk extension', chunked('2;a=b\r\nok\r\n0\r\n\r\n'), OK],
  ['a trailer that is a length', chunked('2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n'), 'broken off'],
  ['a trailer that is a coding', chunked('2\r\nok\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'), OK],
  ['a trailer without a name', chunked('2\r\nok\r\n0\r\n: x\r\n\r\n'), 'broken off'],
]

for (const [family, rows] of Object.entries({ heads, bodies })) {
  test(`odd ${family} of answers: the caller gets the answer whole, a clean 502, or one that visibly breaks off`, async t => {
    let bytes = ''
    let then: Row[3]
    const { url, appliance } = await start(t, (_, socket) => {
      socket.write(Buffer.from(bytes, 'latin1'), () => then === 'closes' && socket.end())
    })
    const wrong: unknown[] = []
    for (const row of rows) {
      const [name, , outcome] = row
      bytes = row[1]
      then = row[3]
      const { statuses, body, text } = await ask(t, url)
      const { status = 502, body: expected = '' } = typeof outcome === 'object' ? outcome : {}
      const isProblem =
        typeof outcome === 'string' && jsonOf(body).get('code') === outcome && jsonOf(body).get('source') === 'proxy'
      const holds =
        outcome === 'broken off'
          ? statuses.length === 0 || isBroken(statuses, body)
          : statuses.join() === `${status}` && (isProblem || body === expected)
      if (!holds) wrong.push({ name, text: text.slice(0, 400) })
      // Whatever was left over is no answer to what others ask.
      for (let i = 0; i < 2; i++) assert.equal((await get(url, `/box/after-${i}`)).text, `/after-${i}`, name)
    }
    assert.deepEqual([wrong, appliance.faults], [[], []])
    assert.equal((await get(url, '/-/livez')).status, 200)
  })
}

/** The one answer to `/odd`, whole or not, and the end of the connection. */
async function ask(t: Context, url: string, method = 'GET') {
  const caller = openRaw(t, url)
  caller.say(`${method} /box/odd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  await caller.closed()
  const { whole } = caller.answers()
  return {
    statuses: caller.statuses(),
    body: `${whole[0]?.body ?? ''}`,
    text: caller.text(),
    whole,
    ending: caller.ending(),
  }
}

function isBroken(statuses: number[], body: string): boolean {
  return statuses.join() === '502' && jsonOf(body).get('source') === 'proxy'
}

test('a HEAD that is answered with a body gets the fields, and nobody gets the body', async t => {
  const { url } = await start(t, (_, socket) => socket.write(answerOf('x'.repeat(50), 'X-A: b')))
  const caller = openRaw(t, url)
  caller.say('HEAD /box/odd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await caller.closed()
  assert.match(caller.text(), /^HTTP\/1\.1 200 OK\r\nContent-Length: 50\r\nX-A: b\r\n(.+\r\n)*\r\n$/)
  assert.equal((await get(url, '/box/after')).text, '/after')
})

test('every one of many fields comes down, and two Location fields come down as two', async t => {
  const many = Array.from({ length: 2500 }, (_, i) => `a${i}:`)
  const { url } = await start(t, (_, socket) =>
    socket.write(answerOf('ok', ...many, 'Location: /a', 'location: //b.example/')),
  )
  const { whole } = await ask(t, url)
  assert.deepEqual(valuesOf(whole[0]?.raw ?? [], 'location'), ['/box/a', '//b.example/'])
  assert.equal(whole[0]?.raw.filter(part => /^a\d+$/.test(part)).length, many.length)
})

test('a 204 says nothing of a length, which a reader could wait for, and a 304 that of what it stands for', async t => {
  for (const [status, length] of [
    [204, []],
    [304, ['5']],
  ] as const) {
    const { url } = await start(t, (_, socket) =>
      socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\nX-A: b\r\n\r\n`),
    )
    const { statuses, whole } = await ask(t, url)
    const raw = whole[0]?.raw ?? []
    assert.deepEqual([statuses, valuesOf(raw, 'content-length'), valuesOf(raw, 'x-a')], [[status], length, ['b']])
  }
})

test('an answer that nobody asked for is given to nobody', async t => {
  const { url, appliance } = await start(t, undefined)
  for (let i = 0; i < 5; i++) {
    assert.equal((await get(url, `/box/before-${i}`)).text, `/before-${i}`)
    for (const socket of appliance.sockets) socket.write(answerOf('stolen'))
    await sleep(30)
    assert.equal((await get(url, `/box/after-${i}`)).text, `/after-${i}`)
  }
})

test('an answer that comes byte by byte, and one that comes a byte each 100 ms, come down whole', async t => {
  const pace = [2, 2, 100]
  const { url } = await start(t, async (_, socket) => {
    const slow = pace.shift() ?? 0
    const bytes = Buffer.from(answerOf('slow answer', 'X-A: b'))
    const quick = slow > 2 ? bytes.length - 15 : 0
    socket.write(bytes.subarray(0, quick))
    for (const byte of bytes.subarray(quick)) {
      await sleep(slow)
      socket.write(Buffer.of(byte))
    }
  })
  for (let i = 0; i < 3; i++) {
    const { statuses, body, whole } = await ask(t, url)
    assert.deepEqual([statuses, body, valuesOf(whole[0]?.raw ?? [], 'x-a')], [[200], 'slow answer', ['b']])
  }
})

test('what decodes to a hundred megabytes comes down as the bytes that it is', async t => {
  const bomb = gzipSync(Buffer.alloc(100_000_000))
  const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bomb.length}\r\n\r\n`
  const { url } = await start(t, (_, socket) => {
    socket.write(head)
    socket.write(bomb)
  })
  const { whole } = await ask(t, url)
  assert.ok(whole[0]?.body.equals(bomb))
})

test('a caller of HTTP/1.0 gets an answer in chunks without their framing, and its end by the end of the connection', async t => {
  const { url } = await start(t, (_, socket) => socket.write(chunked('2\r\nok\r\n0\r\n\r\n')))
  const caller = openRaw(t, url)
  caller.say('GET /box/odd HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n')
  await caller.closed()
  assert.match(caller.text(), /^HTTP\/1\.1 200 OK\r\n(?!.*chunked).*\r\n\r\nok$/s)
})

/** An appliance whose answer in chunks breaks off once its beginning has long arrived. */
function breakOff(socket: Socket): void {
  socket.write(chunked('2\r\nok\r\n'))
  setTimeout(() => socket.end(), 60)
}

test('a caller of HTTP/1.0 can tell an answer that breaks off from a whole one by the reset of its connection', async t => {
  const { url } = await start(t, (_, socket) => breakOff(socket))
  const caller = openRaw(t, url)
  caller.say('GET /box/odd HTTP/1.0\r\nHost: localhost\r\n\r\n')
  await caller.closed()
  assert.deepEqual([caller.text().slice(-2), caller.ending()], ['ok', 'ECONNRESET'])
})

test('over a Unix socket, where nothing can be reset, an answer that breaks off ends the connection and no more', async t => {
  const { server, redactor } = await start(t, (_, socket) => breakOff(socket)).then(({ proxy }) => proxy)
  const directory = await mkdtemp(join(tmpdir(), 'proxy-'))
  t.after(() => rm(directory, { recursive: true }))
  const path = join(directory, 'socket')
  const listen = { address: { path }, files: [] }
  const second = await ProxyServer.start({ ...server.configuration, listen }, { log: silent, version: '0', redactor })
  t.after(() => second.close(500))
  const ask10 = async (target: string) => {
    const socket = connect(path)
    t.after(() => socket.destroy())
    let text = ''
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('error', () => undefined)
    socket.write(`GET ${target} HTTP/1.0\r\nHost: localhost\r\n\r\n`)
    await eventually('an end', () => socket.closed)
    return text
  }
  assert.match(await ask10('/box/odd'), /\r\n\r\nok$/)
  assert.match(await ask10('/-/livez'), /^HTTP\/1\.1 200 /)
})

test('a 401 that breaks off while the session is renewed is replaced by the answer to the replay', async t => {
  let nth = 0
  const appliance = await startRawAppliance(t, {
    answer(_, socket) {
      nth += 1
      if (nth > 1) return void socket.write(answerOf('ok'))
      socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nhalf')
      setTimeout(() => socket.destroy(), 50)
    },
    token: socket => {
      const token = answerOf(`{"access_token":"access-${appliance.grants}","expires_in":3600}`)
      setTimeout(() => socket.write(token), appliance.grants > 1 ? 300 : 0)
    },
  })
  const { url } = await startProxy(t, [applianceAt(appliance, 'azure')])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const { statuses, body } = await ask(t, url)
  assert.deepEqual([statuses, body, nth], [[200], 'ok', 2])
})

/** What an appliance does for ever. */
const endless: Record<string, (socket: Socket) => void> = {
  'says nothing': () => undefined,
  'says 102 again and again': socket => repeat(socket, 10, 'HTTP/1.1 102 Processing\r\n\r\n'),
  'says 103 as fast as it can': socket =>
    repeat(socket, 0, 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(50)),
  'goes on with its first line': socket => repeat(socket, 10, 'HTTP/1.1 200 x'),
  'goes on with its fields': socket => repeat(socket, 10, 'HTTP/1.1 200 OK\r\nX-A: b', '\r\nX-A: b'),
  'says 000': socket => void socket.write('HTTP/1.1 000 Odd\r\n\r\n'),
}

function repeat(socket: Socket, pause: number, first: string, next = first): void {
  socket.write(first)
  const timer = setInterval(() => socket.writableNeedDrain || socket.write(next), pause)
  socket.once('close', () => clearInterval(timer))
}

test('an answer that never begins ends its request in time, and takes no memory', async t => {
  const before = process.memoryUsage().rss
  const started = performance.now()
  await Promise.all(
    Object.entries(endless).map(async ([name, answer]) => {
      const timeouts = { connect: 10_000, firstByte: 1000, idle: 60_000 }
      const { url } = await start(t, (_, socket) => answer(socket), { timeouts })
      const { statuses, body } = await ask(t, url)
      assert.ok(statuses.join() === '502' || statuses.join() === '504', `${name}: ${statuses}`)
      assert.equal(jsonOf(body).get('source'), 'proxy', name)
    }),
  )
  assert.ok(performance.now() - started < 14_000)
  assert.ok(process.memoryUsage().rss - before < 300_000_000)
})

test('a redirect of the appliance comes down and is followed by nobody here', async t => {
  const other = await startOther(t)
  for (const status of [301, 302, 303, 307, 308]) {
    const { url } = await start(t, (_, socket) =>
      socket.write(answerOf('', `Location: ${other.url}/x`).replace('200 OK', `${status} Moved`)),
    )
    const { statuses, whole } = await ask(t, url)
    assert.deepEqual([statuses, valuesOf(whole[0]?.raw ?? [], 'location')], [[status], [`${other.url}/x`]])
  }
  await sleep(50)
  assert.equal(other.connections, 0)
})

/** A place that nobody has any business with. */
async function startOther(t: Context) {
  const other = { connections: 0, url: '' }
  const server = createServer(socket => {
    other.connections += 1
    socket.destroy()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise(resolve => server.close(resolve)))
  const address = server.address()
  other.url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  return other
}

/** A proxy before an appliance with such a sign-in, and the failure that the sign-in came to. */
async function signIn(t: Context, token: RawScript['token']) {
  const answer = (_: unknown, socket: Socket) => void socket.write(answerOf('ok'))
  const appliance = await startRawAppliance(t, { answer, ...(token === undefined ? {} : { token }) })
  const { url } = await startProxy(t, [applianceAt(appliance, 'microsoft365')])
  const lastError = async () => {
    const error = (await statusOf(url)).get('lastError')
    return typeof error === 'object' && error !== null ? new Map<string, unknown>(Object.entries(error)) : undefined
  }
  return { appliance, url, lastError }
}

const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
const json = (value: string) => answerOf(value, 'Content-Type: application/json')

const signIns: [name: string, token: string][] = [
  ['a page', answerOf('<!DOCTYPE html><title>x</title>', 'Content-Type: text/html')],
  ['nothing', answerOf('')],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ...['[]', '5', 'null', '"access_token"', '{}', '{"access_token":', deep, '{"__proto__":{"access_token":"a"}}'].map(
    (body): [string, string] => [`the body ${quoted(body)}`, json(body)],
  ),
  ...['5', '{}', '[]', '""', 'true', 'null', '["a"]'].map((value): [string, string] => [
    `the token ${value}`,
    json(`{"access_token":${value},"expires_in":3600}`),
  ]),
  ...['a\r\nX-Mine: b', 'a\nb', 'a\0b', 'a\x7f', 'a b', ' ', '\u00e9', '\u4f60'].map((token): [string, string] => [
    `the token ${quoted(token)}`,
    json(JSON.stringify({ access_token: token, expires_in: 3600 }).replace(/[\u0080-\uffff]/g, escaped)),
  ]),
  ['a refresh token that is no text', json('{"access_token":"a","refresh_token":{},"expires_in":3600}')],
  ['a field of 1 MB', answerOf('{"access_token":"a"}', `X-Bomb: ${'x'.repeat(1_000_000)}`)],
  ['100', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ['101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n'],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['a chunk of garbage', chunked('zz\r\n')],
]

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
}

test('a sign-in that is answered with anything but a token that can be sent is a broken answer', async t => {
  const wrong: unknown[] = []
  await Promise.all(
    signIns.map(async ([name, token]) => {
      const { url, lastError, appliance } = await signIn(t, token)
      await eventually(`a sign-in with ${name}`, async () => appliance.grants > 0)
      await eventually(`an end of it`, async () => (await statusOf(url)).get('state') !== 'signing in')
      const code = (await lastError())?.get('code')
      if (code !== 'ANSWER_BROKEN' || appliance.grants > 3) wrong.push({ name, code, grants: appliance.grants })
    }),
  )
  assert.deepEqual(wrong, [])
})

test('a sign-in that is answered with 100 MB is given up after the first of them', async t => {
  let sent = 0
  const { lastError } = await signIn(t, socket => {
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{"access_token":"',
    )
    const piece = Buffer.alloc(65_536, 'a')
    const more = () => {
      while (sent < 100_000_000 && !socket.destroyed) {
        sent += piece.length
        if (!socket.write(piece)) return void socket.once('drain', more)
      }
    }
    more()
  })
  await eventually('it is given up', async () => (await lastError())?.get('code') === 'ANSWER_BROKEN')
  assert.ok(sent < 30_000_000, `${sent} bytes were taken`)
})

test('a sign-in that redirects is not followed, and no other place hears of the password', async t => {
  const other = await startOther(t)
  for (const status of [301, 302, 307, 308]) {
    const token = answerOf('', `Location: ${other.url}/token`).replace('200 OK', `${status} Moved`)
    const { lastError, appliance } = await signIn(t, token)
    await eventually(`an end of ${status}`, async () => (await lastError())?.get('code') === 'ANSWER_BROKEN')
    assert.equal(appliance.requests.length, 0)
  }
  assert.equal(other.connections, 0)
})

test('a session that claims to live for ever, or for no time at all, neither ends the process nor storms the appliance', async t => {
  await Promise.all(
    ['1e300', '1e999', '-1', '0', '1e-9', '"soon"', '2147484'].map(async life => {
      const { url, appliance } = await signIn(t, json(`{"access_token":"a","expires_in":${life}}`))
      await sleep(1500)
      assert.ok(appliance.grants <= 20, `a life of ${life}: ${appliance.grants} sign-ins`)
      assert.equal((await get(url, '/-/livez')).status, 200)
    }),
  )
})
