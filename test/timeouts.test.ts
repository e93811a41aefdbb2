import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { simulatorRoot } from '../src/simulator/index.ts'
import { call, get, open, type Reply } from './caller.ts'
import { startRelay } from './relay.ts'
import { applianceAt, type Context, eventually, type Overrides, simulate, startProxy } from './rig.ts'

const root = `/box${simulatorRoot.azure}`
const LONG = 60_000

type Timeouts = NonNullable<Overrides['timeouts']>

/** A proxy with short patience, an appliance, and a connection that stalls at command. */
async function start(t: Context, timeouts: Partial<Timeouts>) {
  const simulator = await simulate(t, { product: 'azure' })
  const relay = await startRelay({ host: '127.0.0.1', port: simulator.port })
  t.after(() => relay.close())
  const { certificate } = simulator
  const patience = { connect: LONG, firstByte: LONG, idle: LONG, ...timeouts }
  const appliance = applianceAt({ url: `https://127.0.0.1:${relay.port}`, certificate }, 'azure', {
    timeouts: patience,
  })
  const { url } = await startProxy(t, [appliance])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { simulator, relay, url }
}

function assertTimeout(reply: Reply, detail: string): void {
  const { status, json } = reply
  assert.deepEqual(
    [status, json.get('code'), json.get('source'), json.get('detail')],
    [504, 'APPLIANCE_TIMEOUT', 'proxy', detail],
    reply.text,
  )
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('patience', { concurrency: 8 }, () => {
  test('an appliance with which no connection comes about in time gives 504', async t => {
    const { relay, url, simulator } = await start(t, { connect: 700 })
    relay.stall()
    const began = performance.now()
    assertTimeout(await get(url, `${root}/status/200`), 'No connection came about in time.')
    assert.ok(performance.now() - began < 8000)
    relay.reset()
    relay.resume()
    assert.equal((await get(url, `${root}/status/200`)).status, 200)
    assert.equal(simulator.counts.tokenRequests, 1)
  })

  test('an appliance that does not begin to answer in time gives 504, and the request is sent once', async t => {
    const { simulator, url } = await start(t, { firstByte: 700 })
    simulator.misbehave({ where: 'resources', answer: 'hang' })
    const began = performance.now()
    const requests = [{ path: `${root}/status/200` }, { method: 'POST', path: `${root}/effects?id=1`, body: 'x' }]
    const replies = await Promise.all(requests.map(request => call(url, request)))
    for (const reply of replies) assertTimeout(reply, 'No answer began in time.')
    assert.ok(performance.now() - began < 8000)
    assert.deepEqual([simulator.counts.requests, simulator.counts.effects], [2, 1])
    simulator.misbehave(undefined)
    assert.equal((await get(url, `${root}/status/200`)).status, 200)
  })

  test('an answer that stops midway for too long ends broken', async t => {
    const { relay, url } = await start(t, { idle: 700 })
    relay.at(1_000_000, 'down', 'stall')
    const answer = await open(url, { path: `${root}/downloads/large?bytes=3000000` })
    assert.equal(answer.statusCode, 200)
    const began = performance.now()
    await assert.rejects(answer.toArray(), /aborted/)
    assert.ok(performance.now() - began < 8000)
  })

  test('an answer that comes in a trickle is no idle one, however long it takes', async t => {
    const { relay, url } = await start(t, { idle: 2500 })
    relay.throttle(25_000)
    const reply = await get(url, `${root}/downloads/large?bytes=120000`)
    assert.equal(reply.body.length, 120_000)
  })

  test('a caller that takes its time over a download loses nothing by the idle limit', async t => {
    const { url } = await start(t, { idle: 700 })
    const bytes = 30_000_000
    const answer = await open(url, { path: `${root}/downloads/large?bytes=${bytes}` })
    await sleep(3000)
    let length = 0
    for await (const chunk of answer) length += chunk.length
    assert.equal(length, bytes)
  })

  test('time for an upload that its caller sends slowly does not count as waiting for the answer', async t => {
    const { url } = await start(t, { firstByte: 900 })
    async function* slowly() {
      for (let i = 0; i < 8; i += 1) {
        yield randomBytes(20_000)
        await sleep(400)
      }
    }
    const fields = { 'transfer-encoding': 'chunked' }
    const body = Readable.from(slowly())
    const reply = await call(url, { method: 'POST', path: `${root}/uploads`, fields, body })
    assert.deepEqual([reply.status, reply.json.get('bytes')], [200, 160_000])
  })

  test('time for an upload that its appliance takes slowly does not count as waiting for the answer', async t => {
    const { relay, url } = await start(t, { firstByte: 3000 })
    // The kernel takes some megabytes at once, and undici believes them sent.
    relay.throttle(4_000_000)
    const body = randomBytes(28_000_000)
    const fields = { 'content-length': body.length }
    const reply = await call(url, { method: 'POST', path: `${root}/uploads`, fields, body: Readable.from([body]) })
    assert.deepEqual([reply.status, reply.json.get('bytes')], [200, body.length])
  })

  test('an upload that its appliance stops taking ends with 504', async t => {
    const { relay, url } = await start(t, { firstByte: 900, idle: 900 })
    relay.at(500_000, 'up', 'stall')
    const body = randomBytes(20_000_000)
    const fields = { 'content-length': body.length }
    const reply = await call(url, { method: 'POST', path: `${root}/uploads`, fields, body: Readable.from([body]) })
    assert.equal(reply.status, 504)
  })

  test('an appliance behind a dead connection slows no request to another', async t => {
    const [good, dead] = [await simulate(t, { product: 'azure' }), await simulate(t, { product: 'azure' })]
    const relay = await startRelay({ host: '127.0.0.1', port: dead.port })
    t.after(() => relay.close())
    const { url } = await startProxy(t, [
      { ...applianceAt(good, 'azure'), name: 'good' },
      {
        ...applianceAt({ url: `https://127.0.0.1:${relay.port}`, certificate: dead.certificate }, 'azure'),
        name: 'dead',
        timeouts: { connect: 3000, firstByte: 3000, idle: 3000 },
      },
    ])
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const path = `${simulatorRoot.azure}/status/200`
    const timed = async () => {
      const began = performance.now()
      for (let i = 0; i < 100; i += 1) assert.equal((await get(url, `/good${path}`)).status, 200)
      return performance.now() - began
    }
    const alone = await timed()
    relay.stall()
    const waiting = Array.from({ length: 200 }, () => get(url, `/dead${path}`))
    const beside = await timed()
    assert.ok(beside < alone * 6 + 2000, `${Math.round(alone)} ms alone, ${Math.round(beside)} ms beside`)
    for (const reply of await Promise.all(waiting)) assert.equal(reply.status, 504)
  })
})
