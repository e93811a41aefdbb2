import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { downloadBytes, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, open } from './caller.ts'
import { startRelay } from './relay.ts'
import { applianceAt, type Context, eventually, simulate, startProxy } from './rig.ts'

const root = `/box${simulatorRoot.azure}`

/** A proxy, an appliance, and between them a connection that fails at command. */
async function start(t: Context) {
  const simulator = await simulate(t, { product: 'azure' })
  const relay = await startRelay({ host: '127.0.0.1', port: simulator.port })
  t.after(() => relay.close())
  const { certificate } = simulator
  const { url } = await startProxy(t, [applianceAt({ url: `https://127.0.0.1:${relay.port}`, certificate }, 'azure')])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  await eventually('the connection of the sign-in is gone', () => relay.connections() === 0)
  return { simulator, relay, url }
}

/** One that has a connection in its pool that has served before. */
async function startWarm(t: Context) {
  const box = await start(t)
  assert.equal((await get(box.url, `${root}/status/200`)).status, 200)
  assert.equal(box.relay.connections(), 1)
  return box
}

/** Sends a request over a connection that dies under it before anything has come back, or gone through. */
async function dying(
  box: Awaited<ReturnType<typeof start>>,
  how: 'cut' | 'reset',
  request: Parameters<typeof call>[1],
) {
  box.relay.stall()
  const reply = call(box.url, request)
  await eventually('it is on its way', () => box.relay.connections() === 1)
  await sleep(150)
  box.relay[how]()
  box.relay.resume()
  return reply
}

function post(path: string, method = 'POST') {
  return { method, path, fields: { 'content-length': 10 }, body: randomBytes(10) }
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('a connection that is lost', { concurrency: 4 }, () => {
  for (const how of ['cut', 'reset'] as const) {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      test(`a ${method} whose pooled connection is ${how} before any answer is sent again over a fresh one`, async t => {
        const box = await startWarm(t)
        const reply = await dying(box, how, { method, path: `${root}/echo` })
        assert.equal(reply.status, 200)
        assert.deepEqual([box.simulator.counts.requests, box.simulator.counts.tokenRequests], [2, 1])
      })
    }

    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      test(`a ${method} whose pooled connection is ${how} is never sent again`, async t => {
        const box = await startWarm(t)
        const reply = await dying(box, how, post(`${root}/effects?id=1`, method))
        assert.deepEqual([reply.status, reply.json.get('code')], [502, 'APPLIANCE_UNREACHABLE'])
        assert.deepEqual([box.simulator.counts.requests, box.simulator.counts.effects], [1, 0])
        assert.equal((await get(box.url, `${root}/status/200`)).status, 200)
      })
    }

    test(`a GET whose connection was fresh when it was ${how} is not sent again`, async t => {
      const box = await start(t)
      const reply = await dying(box, how, { path: `${root}/status/200` })
      assert.deepEqual([reply.status, reply.json.get('code')], [502, 'APPLIANCE_UNREACHABLE'])
      assert.equal(box.simulator.counts.requests, 0)
    })

    test(`a GET whose second connection is ${how} too is not sent a third time`, async t => {
      const { simulator, relay, url } = await startWarm(t)
      relay.stall()
      const reply = get(url, `${root}/status/200`)
      await sleep(150)
      relay[how]()
      relay.stall()
      await eventually('it is on its way again', () => relay.connections() === 1)
      await sleep(150)
      relay[how]()
      relay.resume()
      assert.equal((await reply).status, 502)
      assert.equal(simulator.counts.requests, 1)
    })

    test(`connections that are ${how} while nobody uses them cost no caller anything`, async t => {
      const { relay, url, simulator } = await startWarm(t)
      relay[how]()
      for (let i = 0; i < 3; i += 1) assert.equal((await call(url, post(`${root}/effects?id=${i}`))).status, 201)
      assert.equal(simulator.counts.duplicateEffects, 0)
    })

    test(`a download whose connection is ${how} midway ends broken for its caller, and is not begun again`, async t => {
      const { simulator, relay, url } = await start(t)
      relay.at(2_000_000, 'down', how)
      const { length, whole } = await received(url, 5_000_000)
      assert.deepEqual([whole, simulator.counts.requests], [false, 1])
      assert.ok(length > 1_000_000 && length < 2_000_000, `${length}`)
      assert.equal((await get(url, `${root}/downloads/large?bytes=5000000`)).body.length, 5_000_000)
      assert.equal(simulator.counts.tokenRequests, 1)
    })

    test(`a list whose connection is ${how} midway ends broken`, async t => {
      const { relay, url } = await start(t)
      const path = '/box/api/v8.1/jobSessions?limit=200'
      relay.at(20_000, 'down', how)
      await assert.rejects(get(url, path), /aborted/)
      assert.ok(Array.isArray((await get(url, path)).json.get('results')))
    })
  }

  test('a GET whose pooled connection is lost, and who finds the port closed then, gets 502 at once', async t => {
    const { simulator, relay, url } = await startWarm(t)
    relay.stall()
    const replies = Array.from({ length: 5 }, () => get(url, `${root}/status/200`))
    await sleep(300)
    relay.refuse()
    relay.reset()
    relay.resume()
    for (const reply of await Promise.all(replies)) {
      assert.deepEqual([reply.status, reply.json.get('code')], [502, 'APPLIANCE_UNREACHABLE'])
    }
    relay.accept()
    assert.equal((await get(url, `${root}/status/200`)).status, 200)
    assert.equal(simulator.counts.requests, 2)
  })

  test('an upload that cannot be sent is answered, and its connection serves the next request', async t => {
    const { relay, url } = await start(t)
    relay.refuse()
    const piece = `2710\r\n${'x'.repeat(10_000)}\r\n`
    for (const [field, body] of [
      ['Content-Length: 300000', 'x'.repeat(300_000)],
      ['Transfer-Encoding: chunked', `${piece.repeat(30)}0\r\n\r\n`],
    ]) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1')
      t.after(() => socket.destroy())
      let answers = ''
      socket.on('data', chunk => {
        answers += chunk.toString()
      })
      socket.write(`POST ${root}/uploads HTTP/1.1\r\nHost: localhost\r\n${field}\r\n\r\n${body}`)
      await eventually('it is answered', () => answers.includes('APPLIANCE_UNREACHABLE'))
      socket.write('GET /-/livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await eventually(`the next request is served after ${field}`, () => answers.includes('"status":"live"'), 5000)
    }
  })

  test('a byte that changes on its way down is never delivered: what came before it is right, and the rest does not come', async t => {
    const { relay, url } = await start(t)
    relay.at(2_000_000, 'down', 'corrupt')
    const { length, whole, right } = await received(url, 5_000_000)
    assert.deepEqual([whole, right], [false, true])
    assert.ok(length < 2_000_000, `${length}`)
    assert.equal((await received(url, 5_000_000)).whole, true)
  })

  test('a byte that changes on its way up fails the upload, cleanly', async t => {
    const { simulator, relay, url } = await start(t)
    relay.at(500_000, 'up', 'corrupt')
    const body = randomBytes(2_000_000)
    const upload = { method: 'POST', path: `${root}/uploads`, fields: { 'content-length': body.length }, body }
    const reply = await call(url, upload)
    assert.deepEqual([reply.status, reply.json.get('source'), simulator.counts.uploads], [502, 'proxy', 0])
    assert.equal((await call(url, upload)).status, 200)
  })

  test('an appliance whose port is closed gives 502 at once, and once it is open everything goes on without a sign-in', async t => {
    const { simulator, relay, url } = await startWarm(t)
    relay.refuse()
    relay.reset()
    const reply = await get(url, `${root}/status/200`)
    assert.deepEqual([reply.status, reply.json.get('code')], [502, 'APPLIANCE_UNREACHABLE'])
    relay.accept()
    assert.equal((await get(url, `${root}/status/200`)).status, 200)
    assert.equal(simulator.counts.tokenRequests, 1)
  })
})

/** How much of a download came, whether it ended as a whole one, and whether every byte was right. */
async function received(url: string, bytes: number) {
  const answer = await open(url, { path: `${root}/downloads/large?bytes=${bytes}&seed=s` })
  const chunks: Buffer[] = []
  const whole = await (async () => {
    for await (const chunk of answer) chunks.push(chunk)
    return true
  })().catch(() => false)
  const body = Buffer.concat(chunks)
  const right = Buffer.concat([...downloadBytes('s', 0, body.length)]).equals(body)
  return { length: body.length, whole, right }
}
