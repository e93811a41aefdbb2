import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import { compilePaths } from '../src/policy/path-rules.ts'
import { get } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { openRaw } from './raw-http.ts'
import { eventually, secret, sharedCertificate } from './rig.ts'
import { openSocket, refusalOf, startSockets } from './websocket-rig.ts'

const MB = 1_048_576
const anyPort = { host: '127.0.0.1', port: 0 }
const KEY = 'a secret of 16 or more'
const offer = (path: string, ...fields: string[]) =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...fields,
    '\r\n',
  ].join('\r\n')

function statusIn(text: string): string | undefined {
  return /^HTTP\/1\.1 (\d+)/.exec(text)?.[1]
}

describe('a WebSocket through the proxy', { concurrency: 4 }, () => {
  test('carries text, bytes and large messages both ways, by every address of its appliance', async t => {
    const { cert, key } = await sharedCertificate()
    const listen = [
      { address: anyPort, files: [] },
      { address: anyPort, tls: { cert, key }, files: [] },
    ]
    const { url, server, socketRequests } = await startSockets(t, { overrides: { listen } })
    const [, plain = '', secure = ''] = server.servedAt('box')
    const large = randomBytes(5 * MB)
    for (const [address, options] of [
      [`${url}/box/signal?a=%2B&a=1`, {}],
      [`${url}/signal?a=%2B&a=1`, { headers: { host: 'box.localhost' } }],
      [`${plain}signal?a=%2B&a=1`, {}],
      [`${secure}signal?a=%2B&a=1`, { ca: cert, servername: 'localhost' }],
    ] as const) {
      const socket = await openSocket(t, address, options)
      assert.equal(socketRequests.at(-1)?.url, '/signal?a=%2B&a=1')
      socket.send('text \u{1F4BE}')
      socket.send(large)
      await eventually('both are back', () => socket.messages.length === 2)
      const [first, second] = socket.messages
      assert.deepEqual([first?.data.toString(), first?.isBinary], ['text \u{1F4BE}', false])
      assert.ok(second?.isBinary && second.data.equals(large))
      socket.close()
    }
  })

  test('asks with the fields of the session, and with none that say who calls', async t => {
    for (const [product, wanted] of [
      ['azure', undefined],
      ['google-cloud', '1.4-rev0'],
    ] as const) {
      const { url, socketRequests } = await startSockets(t, { product })
      const headers = {
        authorization: 'Basic bWluZTptaW5l',
        cookie: 'mine=1',
        'x-forwarded-for': '1.2.3.4',
        'x-own': '1',
      }
      const socket = await openSocket(t, `${url}/box/signal`, { headers, origin: url, protocols: ['one', 'two'] })
      assert.deepEqual([socket.protocol, socket.extensions], ['one', 'permessage-deflate'])
      const fields = socketRequests[0]?.headers ?? {}
      assert.equal(fields.authorization, 'Bearer access-1-token')
      assert.equal(fields['x-api-version'], wanted)
      assert.deepEqual([fields.cookie, fields['x-forwarded-for'], fields.origin], [undefined, undefined, undefined])
      assert.deepEqual([fields['x-own'], fields['sec-websocket-protocol']], ['1', 'one,two'])
      assert.match(fields.host ?? '', /^127\.0\.0\.1:\d+$/)
    }
  })

  test('goes on while the token is renewed', async t => {
    const { url, tokenRequests, server } = await startSockets(t)
    const socket = await openSocket(t, `${url}/box/signal`)
    await server.appliances.get('box')?.session.rejected('access-1-token')
    assert.equal(tokenRequests.length, 2)
    socket.send('still here')
    await eventually('an echo', () => socket.messages[0]?.data.toString() === 'still here')
  })

  test('brings what a caller has sent before it was answered', async t => {
    const { url, sockets } = await startSockets(t)
    const caller = openRaw(t, url)
    // One masked text frame of RFC 6455: "hi".
    const frame = Buffer.from([0x81, 0x82, 1, 2, 3, 4, 'h'.charCodeAt(0) ^ 1, 'i'.charCodeAt(0) ^ 2])
    caller.say(Buffer.concat([Buffer.from(offer('/box/signal')), frame]))
    await eventually('an echo', () => caller.text().endsWith('\x81\x02hi'))
    assert.equal(statusIn(caller.text()), '101')
    assert.equal(sockets.length, 1)
  })

  test('lets neither side send more than the other takes', async t => {
    const streams: WebSocket[] = []
    const { url } = await startSockets(t, { onConnection: socket => streams.push(socket) })
    const caller = await openSocket(t, `${url}/box/signal`, { perMessageDeflate: false })
    const [upstream] = streams
    assert.ok(upstream)
    for (const [from, to] of [
      [upstream, caller],
      [caller, upstream],
    ] as const) {
      to.pause()
      const chunk = randomBytes(MB)
      for (let i = 0; i < 64; i += 1) from.send(chunk)
      await sleep(1_000)
      // What is neither with its sender nor read is in buffers of the system and of the proxy.
      assert.ok(from.bufferedAmount > 40 * MB, `${from.bufferedAmount} bytes are with their sender`)
      let got = 0
      to.on('message', () => {
        got += 1
      })
      to.resume()
      await eventually('all of it', () => got === 64)
    }
  })
})

describe('the end of a WebSocket', { concurrency: 4 }, () => {
  test('by either side ends the other, with its code and reason', async t => {
    const { url, sockets } = await startSockets(t)
    const first = await openSocket(t, `${url}/box/signal`)
    first.close(4001, 'enough')
    const upstream = sockets[0] ?? assert.fail()
    const [code, reason] = await once(upstream, 'close')
    assert.deepEqual([code, String(reason)], [4001, 'enough'])
    const second = await openSocket(t, `${url}/box/signal`)
    sockets[1]?.close(4002, 'no more')
    const [secondCode, secondReason] = await once(second, 'close')
    assert.deepEqual([secondCode, String(secondReason)], [4002, 'no more'])
  })

  test('by breaking off breaks the other side off', async t => {
    const { url, sockets } = await startSockets(t)
    const first = await openSocket(t, `${url}/box/signal`)
    first.terminate()
    await eventually('the appliance sees it', () => sockets[0]?.readyState === 3)
    const second = await openSocket(t, `${url}/box/signal`)
    sockets[1]?.terminate()
    await once(second, 'close')
    assert.equal((await get(url, '/-/livez')).status, 200)
  })

  test('comes for a side that does not answer it, soon after it was told', async t => {
    const { url, sockets } = await startSockets(t, { onConnection: socket => socket.pause() })
    const caller = openRaw(t, url)
    caller.say(offer('/box/signal'))
    await eventually('switched', () => sockets.length === 1 && statusIn(caller.text()) === '101')
    caller.socket.end()
    await eventually('the connection of the caller is closed', () => caller.ending() !== undefined)
    sockets[0]?.resume()
    await eventually('and that of the appliance', () => sockets[0]?.readyState === 3)
  })

  test('comes at a shutdown once its grace is over', async t => {
    const { url, server, lines } = await startSockets(t)
    const socket = await openSocket(t, `${url}/box/signal`)
    const closed = once(socket, 'close')
    const began = performance.now()
    const ending = server.close(700)
    await sleep(300)
    socket.send('until the last moment')
    await eventually('an echo', () => socket.messages.length === 1)
    await Promise.all([closed, ending])
    const took = performance.now() - began
    assert.ok(took > 600 && took < 6_000, `${took} ms`)
    assert.ok(lines.some(line => line.includes('"requests":1,"msg":"requests were cut')))
  })
})

describe('a request for WebSocket', { concurrency: 4 }, () => {
  test('is guarded as any other, and what is refused reaches no appliance', async t => {
    const rule = { paths: compilePaths(['/signal/**']) }
    const callers = [{ name: 'tool', secret: secret(KEY), rule: {}, admin: false }]
    const { url, socketRequests } = await startSockets(t, {
      overrides: { access: { rule, credentials: false } },
      proxy: { guard: { callers, allowedOrigins: ['https://grafana.example'] } },
    })
    const key = { 'x-proxy-key': KEY }
    const rows: [string, Record<string, string>, number, string][] = [
      ['/box/signal/x', {}, 401, 'CALLER_UNKNOWN'],
      ['/box/signal/x', { ...key, host: 'evil.example' }, 421, 'HOST_UNKNOWN'],
      ['/box/signal/x', { ...key, origin: 'https://evil.example' }, 403, 'ORIGIN_DENIED'],
      ['/box/signal/x', { ...key, 'sec-fetch-site': 'cross-site' }, 403, 'ORIGIN_DENIED'],
      ['/box/other', key, 403, 'PATH_DENIED'],
      ['/box/signal/x%2fy', key, 400, 'BAD_REQUEST'],
      ['/box/api/oauth2/token', key, 403, 'CREDENTIALS_WITHHELD'],
      ['/nobody/signal', key, 404, 'UNKNOWN_APPLIANCE'],
      ['/-/nothing', key, 404, 'UNKNOWN_PATH'],
    ]
    for (const [path, headers, status, code] of rows) {
      const refusal = await refusalOf(t, url + path, { headers })
      assert.deepEqual([refusal.status, refusal.code], [status, code], `${path} ${JSON.stringify(headers)}`)
      assert.equal(refusal.fields.connection, 'close')
      assert.match(String(refusal.fields['x-request-id']), /^[0-9a-f-]{36}$/)
    }
    assert.equal(socketRequests.length, 0)
    for (const origin of [url, 'https://grafana.example']) {
      await openSocket(t, `${url}/box/signal/x`, { headers: { ...key, origin } })
    }
    assert.equal(socketRequests.length, 2)
  })

  test('that meets a rejected token is sent a second time, and its caller sees no 401', async t => {
    const { url, socketRequests, tokenRequests, server } = await startSockets(t, {
      refuse(_, socket, nth) {
        if (nth === 1) socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno')
        return nth === 1
      },
    })
    const socket = await openSocket(t, `${url}/box/signal`)
    socket.send('hello')
    await eventually('an echo', () => socket.messages.length === 1)
    assert.deepEqual(
      socketRequests.map(({ headers }) => headers.authorization),
      ['Bearer access-1-token', 'Bearer access-2-token'],
    )
    assert.deepEqual([tokenRequests.length, server.appliances.get('box')?.session.status().state], [2, 'live'])
  })

  test('that meets a rejected token does not read on where its 401 has no end', async t => {
    let cut = 0
    const { url } = await startSockets(t, {
      refuse(_, socket, nth) {
        if (nth > 1) return false
        socket.write('HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n')
        const timer = setInterval(() => socket.writableNeedDrain || socket.write(`1000\r\n${'x'.repeat(4096)}\r\n`), 2)
        socket.on('error', () => undefined)
        socket.once('close', () => {
          clearInterval(timer)
          cut += 1
        })
        return true
      },
    })
    const socket = await openSocket(t, `${url}/box/signal`)
    socket.send('hello')
    await eventually('an echo', () => socket.messages.length === 1)
    await eventually('the 401 is given up', () => cut === 1)
  })

  test('that is refused by the appliance gets that answer, once, and the end of its connection', async t => {
    const large = 'x'.repeat(5 * MB)
    const answers = [
      'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\n\r\nnone',
      'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 2\r\n\r\nno',
      'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 5\r\n\r\nagain',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n',
      'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n',
      `HTTP/1.1 500 Broken\r\nContent-Length: ${large.length}\r\n\r\n${large}`,
    ]
    const { url, socketRequests } = await startSockets(t, {
      refuse(_, socket, nth) {
        socket.end(answers[nth - 1])
        return true
      },
    })
    for (const [status, body, location] of [
      [404, 'none', undefined],
      [401, 'again', undefined],
      [200, 'yes', undefined],
      [302, '', '/box/elsewhere'],
      [500, large, undefined],
    ] as const) {
      const refusal = await refusalOf(t, `${url}/box/signal`)
      assert.deepEqual([refusal.status, refusal.body, refusal.fields.location], [status, body, location])
      assert.deepEqual(
        [refusal.fields['set-cookie'], refusal.fields['www-authenticate'], refusal.fields.connection],
        [undefined, undefined, 'close'],
      )
    }
    assert.equal(socketRequests.length, answers.length)
  })

  test('ends with a problem where the appliance breaks off, is silent, or switches to something else', async t => {
    const { url } = await startSockets(t, {
      overrides: { timeouts: { connect: 5_000, firstByte: 600, idle: 5_000 } },
      refuse(_, socket, nth) {
        if (nth === 1) socket.destroy()
        if (nth === 3) socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
        if (nth === 4) socket.end('nonsense')
        return true
      },
    })
    for (const [status, code] of [
      [502, 'APPLIANCE_UNREACHABLE'],
      [504, 'APPLIANCE_TIMEOUT'],
      [502, 'ANSWER_BROKEN'],
      [502, 'ANSWER_BROKEN'],
    ] as const) {
      const refusal = await refusalOf(t, `${url}/box/signal`)
      assert.deepEqual([refusal.status, refusal.code], [status, code])
    }
    assert.equal((await get(url, '/box/x')).status, 200, 'others are served on')
  })

  test('counts among the requests that are under way at its appliance for as long as it is open', async t => {
    const { url } = await startSockets(t, { overrides: { maxInFlight: 1 } })
    const socket = await openSocket(t, `${url}/box/signal`)
    const waiting = get(url, '/box/x')
    await sleep(200)
    assert.equal((await refusalOf(t, `${url}/box/signal`)).code, 'OVERLOADED')
    socket.close()
    assert.equal((await waiting).status, 200)
    await openSocket(t, `${url}/box/signal`)
  })

  test('behind another request on its connection is not taken up, and the answer to that one comes', async t => {
    const { url, socketRequests } = await startSockets(t, {
      script: { resource: (_, response) => setTimeout(() => response.end('slow'), 300) },
    })
    const caller = openRaw(t, url)
    caller.say(`GET /box/slow HTTP/1.1\r\nHost: localhost\r\n\r\n${offer('/box/signal')}`)
    await caller.closed()
    assert.equal(caller.text().match(/^HTTP/gm)?.length, 1)
    assert.match(caller.text(), /^HTTP\/1\.1 200.*slow$/s)
    assert.equal(socketRequests.length, 0)
    const kept = openRaw(t, url)
    kept.say('GET /box/slow HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await kept.heard(1)
    kept.say(offer('/box/signal'))
    await eventually('switched', () => kept.text().includes('HTTP/1.1 101 '))
  })

  test('in HTTP/1.0 is none, and is answered as any other request', async t => {
    const { url, requests, socketRequests } = await startSockets(t)
    const caller = openRaw(t, url)
    caller.say(offer('/box/signal').replace('HTTP/1.1', 'HTTP/1.0'))
    await caller.closed()
    assert.match(caller.text(), /^HTTP\/1\.1 200 .*\{\}$/s)
    assert.deepEqual([requests[0]?.url, requests[0]?.fields.upgrade, socketRequests.length], ['/signal', undefined, 0])
  })

  test('with a body is a bad request', async t => {
    const { url, socketRequests } = await startSockets(t)
    for (const [fields, body] of [
      [['Content-Length: 4'], 'body'],
      [['Transfer-Encoding: chunked'], '4\r\nbody\r\n0\r\n\r\n'],
    ] as const) {
      const caller = openRaw(t, url)
      caller.say(offer('/box/signal', ...fields) + body)
      await caller.closed()
      assert.equal(statusIn(caller.text()), '400', caller.text())
    }
    assert.equal(socketRequests.length, 0)
  })

  test('whose caller leaves before the answer ends the request at the appliance', async t => {
    let left = false
    const { url, socketRequests } = await startSockets(t, {
      refuse(_, socket) {
        socket.once('close', () => {
          left = true
        })
        return true
      },
    })
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
    t.after(() => socket.destroy())
    socket.write(offer('/box/signal'))
    await eventually('upstream', () => socketRequests.length === 1)
    socket.resetAndDestroy()
    await eventually('the appliance sees it', () => left)
  })

  test('stands in the audit with its caller, path and 101 when it is over', async t => {
    const folder = temporaryFolder(t)
    const audit = folder.write('audit.log', '')
    const { url } = await startSockets(t, { proxy: { audit } })
    const socket = await openSocket(t, `${url}/box/signal?secret=1`)
    socket.close()
    const lines = () => readFileSync(audit, 'utf8').trim().split('\n')
    await eventually('an entry', () => lines().some(line => line.includes('/signal')))
    const { path, status, decision, source } = JSON.parse(lines().at(-1) ?? '')
    assert.deepEqual(
      { path, status, decision, source },
      { path: '/signal', status: 101, decision: 'allowed', source: 'upstream' },
    )
  })
})
