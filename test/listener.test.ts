import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer } from 'node:http'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as tlsConnect } from 'node:tls'
import { ListenError } from '../src/listen/address.ts'
import { Listener, type RequestHandler, type UpgradeHandler } from '../src/listen/listener.ts'
import { call } from './caller.ts'
import { ask, echo, freePort, listen, listenSecurely, raw } from './listener-rig.ts'
import { eventually } from './rig.ts'

const upgradeTo = (protocol: string) =>
  `GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`

/** Switches, then sends everything back, what came with the head included. */
const echoSocket: UpgradeHandler = (_, socket, head, tag) => {
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${tag}:`)
  socket.write(head)
  socket.pipe(socket)
}

/** Answers after the given milliseconds. */
const after =
  (milliseconds: number): RequestHandler =>
  (_, response) => {
    setTimeout(() => response.end('done'), milliseconds)
  }

async function timed(work: Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work
  return performance.now() - began
}

describe('a listener', { concurrency: 6 }, () => {
  test('hands each request to the handler with the tag it was opened with', async t => {
    const [tagged, plain] = await Promise.all([listen(t, { tag: 'tenant' }), listen(t)])
    assert.match(tagged.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    assert.equal((await ask(tagged.url)).json.tag, 'tenant')
    assert.equal((await ask(plain.url)).json.tag, undefined)
  })

  test('says which address is taken, and by whom it cannot be had', async t => {
    const address = { host: '127.0.0.1', port: await freePort() }
    await listen(t, { address })
    await assert.rejects(Listener.open({ address }, echo), (error: Error) => {
      assert.ok(error instanceof ListenError)
      assert.equal(error.message, `127.0.0.1:${address.port} is taken by another process`)
      assert.equal(error.errno, 'EADDRINUSE')
      return true
    })
    await assert.rejects(Listener.open({ address: { host: '192.0.2.1', port: 0 } }, echo), /is no address of this mach/)
    const message = new ListenError({ host: '::1', port: 443 }, 'EACCES').message
    assert.match(message, /^\[::1\]:443 cannot be listened on: ports below 1024 need CAP_NET_BIND_SERVICE/)
  })

  test('a request for WebSocket goes to the upgrade handler with the bytes that came along', async t => {
    for (const { url, secure } of [
      { url: (await listen(t, { tag: 'box', onUpgrade: echoSocket })).url, secure: false },
      { url: (await listenSecurely(t, { tag: 'box', onUpgrade: echoSocket })).listener.url, secure: true },
    ]) {
      const { hostname: host, port } = new URL(url)
      const tls = secure ? tlsConnect({ host, port: Number(port), rejectUnauthorized: false }) : undefined
      const socket = tls ?? raw(t, url).socket
      t.after(() => socket.destroy())
      let text = ''
      socket.on('data', chunk => {
        text += chunk
      })
      socket.write(`${upgradeTo('websocket')}early `)
      await eventually('the switch', () => text.includes('box:early '))
      socket.write('late')
      await eventually('an echo', () => text.endsWith('box:early late'))
    }
  })

  test('an upgraded connection that breaks hurts nobody', async t => {
    const { url } = await listen(t, { onUpgrade: echoSocket })
    const { socket, text } = raw(t, url)
    socket.write(upgradeTo('websocket'))
    await eventually('the switch', () => text().includes('101'))
    socket.resetAndDestroy()
    await sleep(100)
    assert.equal((await ask(url)).status, 200)
  })

  test('without an upgrade handler a request for WebSocket is handled as any other', async t => {
    const { url } = await listen(t)
    const { socket, text } = raw(t, url)
    socket.write(upgradeTo('websocket'))
    await eventually('an answer', () => text().startsWith('HTTP/1.1 200 ') && text().includes('"url":"/socket"'))
  })

  test('an offer of h2c is not taken up: the request is served whole, its connection too', async t => {
    for (const options of [{ onUpgrade: echoSocket }, {}]) {
      const { url } = await listen(t, options)
      const { socket, text } = raw(t, url)
      const offer =
        'Connection: Upgrade, HTTP2-Settings, keep-alive\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n'
      socket.write(
        `POST /first HTTP/1.1\r\nHost: localhost\r\n${offer}X-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 10\r\n\r\n01234`,
      )
      await sleep(50)
      socket.write('56789')
      await eventually('an answer', () => text().includes('"body":"0123456789"'))
      assert.match(text(), /^HTTP\/1\.1 200 [\s\S]*"x-twice":"1, 2"/)
      socket.write(`GET /second HTTP/1.1\r\nHost: localhost\r\n${offer}\r\n`)
      await eventually('a second answer', () => text().includes('"url":"/second"'))
      socket.write('GET /third HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await eventually('a third answer', () => text().includes('"url":"/third"'))
    }
  })

  test('an offer of h2c over TLS is not taken up either', async t => {
    const { listener, ca } = await listenSecurely(t, { onUpgrade: echoSocket })
    const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' }
    const { status, json, body } = await ask(listener.url, { ca, method: 'PUT', body: 'whole', headers })
    assert.deepEqual([status, json.method, json.body], [200, 'PUT', 'whole'])
    assert.doesNotMatch(body, /upgrade|http2-settings/i)
  })

  test('closing lets a request in flight finish and then ends its connection', async t => {
    for (const secure of [false, true]) {
      const opened = secure ? await listenSecurely(t, { handle: after(700) }) : undefined
      const listener = opened?.listener ?? (await listen(t, { handle: after(700) }))
      const inFlight = ask(listener.url, opened === undefined ? {} : { ca: opened.ca })
      await sleep(300)
      assert.equal(listener.closing, false)
      const closed = listener.close(10_000)
      assert.equal(listener.closing, true)
      const { body, fields } = await inFlight
      assert.deepEqual([body, fields.connection], ['done', 'close'])
      assert.equal(await closed, 0)
    }
  })

  test('closing cuts what is left at the end of its grace, and counts it', async t => {
    const listener = await listen(t, { handle: () => {}, onUpgrade: echoSocket })
    const inFlight = assert.rejects(ask(listener.url))
    const upgraded = raw(t, listener.url)
    upgraded.socket.write(upgradeTo('websocket'))
    await eventually('the switch', () => upgraded.text().includes('101'))
    let cut: number | undefined
    const took = await timed(
      listener.close(600).then(requests => {
        cut = requests
      }),
    )
    assert.ok(took >= 590 && took < 8_000, `${took} ms`)
    assert.equal(cut, 2)
    await inFlight
    await upgraded.ended
  })

  test('connections without a request do not hold a closing up, over TLS either', async t => {
    const plain = await listen(t)
    const agent = new Agent({ keepAlive: true })
    t.after(() => agent.destroy())
    await call(plain.url, { path: '/', agent })
    raw(t, plain.url)
    const { listener } = await listenSecurely(t)
    raw(t, listener.url)
    const { port } = new URL(listener.url)
    const silent = tlsConnect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false })
    t.after(() => silent.destroy())
    silent.on('error', () => {})
    await once(silent, 'secureConnect')
    await sleep(100)
    assert.ok((await timed(Promise.all([plain.close(20_000), listener.close(20_000)]))) < 8_000)
  })

  test('a handshake that never ends is cut with the rest', async t => {
    const { listener } = await listenSecurely(t)
    const { socket, ended } = raw(t, listener.url)
    socket.write('\x16\x03\x01')
    await sleep(100)
    const took = await timed(listener.close(400))
    assert.ok(took < 8_000, `${took} ms`)
    await ended
  })

  test('draining waits for a request however long it takes, and the address is free at once', async t => {
    const address = { host: '127.0.0.1', port: await freePort() }
    const listener = await listen(t, { address, handle: after(1_000) })
    const inFlight = ask(listener.url)
    await sleep(300)
    const drained = listener.drain()
    await eventually('the address free', async () => {
      const next = createServer().listen(address)
      const free = await once(next, 'listening').then(
        () => true,
        () => false,
      )
      next.close()
      return free
    })
    assert.equal((await inFlight).body, 'done')
    await drained
  })
})
