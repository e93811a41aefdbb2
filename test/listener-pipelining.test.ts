import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { simulatorRoot } from '../src/simulator/index.ts'
import { get } from './caller.ts'
import { ask, echo, listen, listenSecurely, raw } from './listener-rig.ts'
import { openRaw } from './raw-http.ts'
import { eventually, startBox } from './rig.ts'

const offering = (path: string, body = '') =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n` +
  `HTTP2-Settings: AAMAAABkAARAAAAA\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const plain = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

describe('requests behind one another on one connection', { concurrency: 6 }, () => {
  test('that each offer another protocol are all answered, in their order, with their bodies', async t => {
    const { url } = await listen(t, {
      handle(request, response, tag) {
        setTimeout(() => echo(request, response, tag), request.url?.startsWith('/slow') ? 200 : 0)
      },
    })
    for (const whole of [true, false]) {
      const caller = openRaw(t, url)
      const parts = [offering('/slow-1', 'one'), offering('/2', 'two'), plain('/slow-3'), offering('/4'), plain('/5')]
      for (const part of whole ? [parts.join('')] : parts) {
        caller.say(part)
        if (!whole) await sleep(20)
      }
      await caller.heard(5)
      const bodies = caller.answers().whole.map(({ body }) => JSON.parse(body.toString()))
      const heard = bodies.map(body => [body.url, body.body])
      assert.deepEqual(heard, [
        ['/slow-1', 'one'],
        ['/2', 'two'],
        ['/slow-3', ''],
        ['/4', ''],
        ['/5', ''],
      ])
    }
  })

  test('end at a last one, whatever is offered behind it', async t => {
    const seen: string[] = []
    const { url } = await listen(t, {
      handle(request, response) {
        seen.push(request.url ?? '')
        setTimeout(() => response.end('last'), 100)
      },
    })
    const caller = openRaw(t, url)
    caller.say(plain('/1').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n') + offering('/2'))
    await caller.closed()
    await sleep(50)
    assert.deepEqual([seen, caller.statuses()[0]], [['/1'], 200])
  })

  test('that are left by their caller end for the one that handles them, the first and all behind it', async t => {
    const { url } = await listen(t, { handle: (_, response) => open.push(response) })
    const open: ServerResponse[] = []
    let closed = 0
    for (const count of [1, 2, 20]) {
      open.length = 0
      closed = 0
      const caller = openRaw(t, url)
      caller.say(plain('/x').repeat(count))
      await eventually('all have come', () => open.length === count)
      for (const response of open) response.once('close', () => closed++)
      caller.socket.destroy()
      await eventually(`${count} have ended`, () => closed === count)
      assert.ok(open.every(response => response.closed))
    }
  })

  test('that are left by their caller may still be ended, at once or later, however much of their answers there was', async t => {
    for (const size of [0, 1, 20_000]) {
      for (const when of ['at once', 'later'] as const) {
        const open: ServerResponse[] = []
        let closed = 0
        const { url } = await listen(t, {
          handle(request, response) {
            open.push(response)
            response.writeHead(200, { 'content-length': size })
            if (request.url === '/1') response.flushHeaders()
            else if (size > 0) response.write(Buffer.alloc(size))
            else response.flushHeaders()
            response.on('close', () => {
              closed += 1
              if (when === 'at once' && request.url !== '/1') response.end()
            })
          },
        })
        const caller = openRaw(t, url)
        caller.say(plain('/1') + plain('/2') + plain('/3'))
        await eventually('all three', () => open.length === 3)
        caller.socket.resetAndDestroy()
        await eventually('their ends', () => closed >= 3)
        for (const response of open.toReversed()) response.end()
        await sleep(10)
        // What Node.js takes for its own mistake would have ended the process by now.
        assert.ok(open.every(response => response.writableEnded))
      }
    }
  })

  test('that are left by their caller take no place at the appliance any more', async t => {
    const { url, server, simulator } = await startBox(t, { product: 'azure' })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const caller = openRaw(t, url)
    caller.say(plain(`/box${simulatorRoot.azure}/slow?ms=60000`).repeat(5))
    await eventually('all are under way', () => simulator.counts.requests === 5)
    assert.equal(server.appliances.get('box')?.admission.inFlight, 5)
    caller.socket.destroy()
    await eventually('none is under way', () => server.appliances.get('box')?.admission.inFlight === 0)
    await eventually('the appliance has heard of it', () => simulator.counts.aborted === 5)
  })

  test('of every kind may be left at any moment, which ends nothing and holds nothing', async t => {
    const faults: unknown[] = []
    const note = (error: unknown) => faults.push(error)
    process.on('uncaughtExceptionMonitor', note)
    t.after(() => process.off('uncaughtExceptionMonitor', note))
    const { url, server } = await startBox(t, { product: 'azure', latency: 100 })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const own = 'POST /-/appliances/box/sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n'
    const box = `/box${simulatorRoot.azure}`
    const mixed = [plain(`${box}/slow?ms=100`), plain('/-/status'), own, plain('/nobody'), plain(`${box}/status/200`)]
    const packets = [own.repeat(4), mixed.join(''), mixed.toReversed().join('') + offering(`${box}/uploads`, 'body')]
    for (const packet of packets) {
      for (const wait of [0, 5, 20, 50, 110, 160, 250]) {
        for (const cut of ['reset', 'end', 'destroy'] as const) {
          const { socket } = openRaw(t, url)
          socket.write(packet)
          await sleep(wait)
          if (cut === 'reset') socket.resetAndDestroy()
          else if (cut === 'end') socket.end()
          else socket.destroy()
        }
      }
    }
    await eventually('nothing is under way', () => server.appliances.get('box')?.admission.inFlight === 0)
    assert.deepEqual(faults, [])
    assert.equal((await get(url, '/-/readyz')).status, 200)
  })

  test('that are refused and broken off at once hurt nobody', async t => {
    const faults: unknown[] = []
    const note = (error: unknown) => faults.push(error)
    process.on('uncaughtExceptionMonitor', note)
    t.after(() => process.off('uncaughtExceptionMonitor', note))
    const [open, secure] = [await listen(t), await listenSecurely(t)]
    const fields = Array.from({ length: 300 }, (_, i) => `a${i}:\r\n`).join('')
    const tooMany = offering('/x').replace('Host', `${fields}Host`)
    for (const url of [open.url, secure.listener.url]) {
      for (const bytes of [tooMany, 'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n']) {
        const { socket } = raw(t, url)
        socket.write(bytes)
        await sleep(30)
        socket.resetAndDestroy()
      }
    }
    await sleep(100)
    assert.deepEqual(faults, [])
    assert.equal((await ask(open.url)).status, 200)
  })
})
