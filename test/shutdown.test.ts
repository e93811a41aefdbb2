import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { describe, test } from 'node:test'
import { simulatedProducts, simulatorRoot } from '../src/simulator/index.ts'
import { call, get } from './caller.ts'
import { applianceAt, eventually, simulate, startBox, startProxy } from './rig.ts'

const root = `/box${simulatorRoot.azure}`

async function timed(work: Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work
  return performance.now() - began
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('shutdown', { concurrency: 6 }, () => {
  test('shutting down signs out at every appliance', async t => {
    const simulators = await Promise.all(simulatedProducts.map(product => simulate(t, { product })))
    const appliances = simulators.map((simulator, i) => ({
      ...applianceAt(simulator, simulatedProducts[i] ?? ''),
      name: `box${i}`,
    }))
    const { server, url } = await startProxy(t, appliances)
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    assert.ok((await timed(server.close())) < 5000)
    assert.deepEqual(
      simulators.map(({ counts }) => counts.signOuts),
      [1, 1, 1],
    )
  })

  test('shutting down lets a request in flight finish, and its session is signed out only then', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure' })
    const inFlight = get(url, `${root}/slow?ms=4000`)
    await eventually('in flight', () => simulator.counts.requests === 1)
    const closed = server.close(20_000)
    const isRefused = () =>
      get(url, '/-/livez').then(
        () => false,
        error => /ECONNREFUSED/.test(String(error)),
      )
    await eventually('new connections are refused', isRefused)
    assert.equal(simulator.counts.signOuts, 0)
    const reply = await inFlight
    assert.equal(reply.status, 200)
    assert.equal(reply.json.get('milliseconds'), 4000)
    await closed
    assert.deepEqual([simulator.counts.signOuts, simulator.counts.aborted], [1, 0])
  })

  test('shutting down lets a download in flight finish', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure' })
    const bytes = 30 * 1024 * 1024
    const inFlight = get(url, `${root}/downloads/large?bytes=${bytes}`)
    await eventually('in flight', () => simulator.counts.requests === 1)
    const closed = server.close(10_000)
    assert.equal((await inFlight).body.length, bytes)
    await closed
    assert.equal(simulator.counts.signOuts, 1)
  })

  test('a request that does not finish in the time given is cut, and the session is still signed out', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure' })
    const inFlight = assert.rejects(get(url, `${root}/slow?ms=60000`))
    await eventually('in flight', () => simulator.counts.requests === 1)
    const took = await timed(server.close(700))
    await inFlight
    assert.ok(took >= 690 && took < 5000, `${took} ms`)
    assert.equal(simulator.counts.signOuts, 1)
  })

  test('idle connections of callers do not hold a shutdown up', async t => {
    const { url, server } = await startBox(t, { product: 'azure' })
    const agent = new Agent({ keepAlive: true })
    t.after(() => agent.destroy())
    await call(url, { path: '/-/livez', agent })
    assert.ok((await timed(server.close(10_000))) < 4000)
  })

  test('an appliance that is gone does not hold a shutdown up', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure' })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    await simulator.close()
    assert.ok((await timed(server.close(10_000))) < 4000)
  })

  test('an appliance that hangs at the sign-out does not hold a shutdown up for more than a few seconds', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure' })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    simulator.misbehave({ where: 'token', answer: 'hang' })
    const took = await timed(server.close(10_000))
    assert.ok(took < 9000, `${took} ms`)
  })

  test('a shutdown in the middle of a sign-in leaves no session behind at the appliance', async t => {
    const { simulator, server } = await startBox(t, { product: 'azure', latency: 500 })
    await eventually('signing in', () => simulator.counts.tokenRequests === 1 || simulator.counts.signIns === 1)
    await server.close(10_000)
    assert.deepEqual([simulator.counts.signIns, simulator.counts.signOuts], [1, 1])
  })

  test('after a shutdown nothing is sent by itself any more', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure', tokenLife: 1 })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    await server.close(10_000)
    const { tokenRequests } = simulator.counts
    await new Promise(resolve => setTimeout(resolve, 1500))
    assert.equal(simulator.counts.tokenRequests, tokenRequests)
  })
})
