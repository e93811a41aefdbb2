import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { simulatorRoot } from '../src/simulator/index.ts'
import { get, statusOf } from './caller.ts'
import { entryOf, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, simulate, startBox } from './rig.ts'

const root = `/box${simulatorRoot.azure}`

/**
 * Callers in a thread of their own, so that they go on while this one stands still: each of `count` first asks once
 * over a connection that it keeps, then all ask again, and as many more over connections of their own.
 */
const callers = `
const { workerData, parentPort } = require('node:worker_threads')
const { Agent, request } = require('node:http')
const { url, count, flag } = workerData
const signal = new Int32Array(flag)
const ask = agent => new Promise(resolve => {
  const outgoing = request(url, { agent }, answer => answer.resume().on('end', () => resolve(answer.statusCode)))
  outgoing.on('error', error => resolve(error.code))
  outgoing.end()
})
const agents = Array.from({ length: count }, () => new Agent({ keepAlive: true }))
Promise.all(agents.map(ask)).then(async first => {
  parentPort.postMessage(first)
  Atomics.wait(signal, 0, 0)
  const answers = [...agents, ...agents.map(() => false)].map(ask)
  setTimeout(() => { Atomics.store(signal, 1, 1); Atomics.notify(signal, 1) }, 500)
  parentPort.postMessage(await Promise.all(answers))
  for (const agent of agents) agent.destroy()
})`

// Nearly all of this is waiting, so the tests wait side by side; but for the one that stands still.
test('requests that had reached the machine before the signal are answered, none of their connections reset', async t => {
  const { url, server } = await startBox(t, { product: 'azure' })
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const flag = new SharedArrayBuffer(8)
  const signal = new Int32Array(flag)
  const worker = new Worker(callers, { eval: true, workerData: { url: `${url}${root}/status/200`, count: 20, flag } })
  t.after(() => worker.terminate())
  const [before] = await once(worker, 'message')
  assert.deepEqual([...new Set(before)], [200])
  const after = once(worker, 'message')
  Atomics.store(signal, 0, 1)
  Atomics.notify(signal, 0)
  // From here on no turn of the event loop: what the callers send stays in the kernel.
  Atomics.wait(signal, 1, 0, 10_000)
  const closed = server.close(10_000)
  assert.deepEqual(
    (await after)[0],
    Array.from({ length: 40 }, () => 200),
  )
  await closed
})

describe('the end of the process', { concurrency: 6 }, () => {
  test('readiness turns 503 at the signal: a check under way is told, a new one finds nobody', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure' })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const inFlight = get(url, `${root}/slow?ms=2000`)
    await eventually('in flight', () => simulator.counts.requests === 1)
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    t.after(() => socket.destroy())
    let answer = ''
    socket.on('data', chunk => {
      answer += chunk.toString()
    })
    socket.write('GET /-/readyz HTTP/1.1\r\nHost: localhost\r\n')
    await new Promise(resolve => setTimeout(resolve, 200))
    const closed = server.close(10_000)
    socket.write('\r\n')
    await once(socket, 'end')
    assert.match(answer, /^HTTP\/1\.1 503 /)
    assert.match(answer, /"status":"closing"/)
    assert.match(answer, /connection: close/i)
    await eventually('nobody is there', () =>
      get(url, '/-/readyz').then(
        () => false,
        error => /ECONNREFUSED/.test(String(error)),
      ),
    )
    assert.equal((await inFlight).status, 200)
    await closed
  })

  test('a connection that never brought a request does not hold the end up', async t => {
    const { url, server } = await startBox(t, { product: 'azure' })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    await get(url, '/-/livez')
    const began = performance.now()
    await server.close(10_000)
    assert.ok(performance.now() - began < 5000, `${performance.now() - began} ms`)
  })

  test('a request that waits for its turn at the appliance is served before the end', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure' }, { maxInFlight: 4 })
    const waiting = Array.from({ length: 5 }, () => get(url, `${root}/slow?ms=700`))
    await eventually('four are in flight', () => simulator.counts.requests === 4)
    const closed = server.close(10_000)
    for (const reply of await Promise.all(waiting)) assert.equal(reply.status, 200)
    await closed
    assert.deepEqual([simulator.counts.requests, simulator.counts.signOuts], [5, 1])
  })

  test('a request that waits for the first sign-in is served before the end', async t => {
    const { simulator, url, server } = await startBox(t, { product: 'azure', latency: 700 })
    const waiting = get(url, `${root}/status/200`)
    await eventually('signing in', async () => (await statusOf(url)).get('state') === 'signing-in')
    const closed = server.close(10_000)
    assert.equal((await waiting).status, 200)
    await closed
    assert.deepEqual([simulator.counts.signIns, simulator.counts.signOuts], [1, 1])
  })

  test('shutdownTimeout of the configuration says when requests are cut, and the exit code is still 0', async t => {
    const simulator = await simulate(t, { product: 'azure' })
    const folder = temporaryFolder(t)
    folder.write('appliances.yaml', `shutdownTimeout: 1s\nappliances:\n${entryOf('box', 'azure', simulator)}`)
    const served = startCli(t, ['serve', '--port', '0'], { cwd: folder.path })
    await eventually('it serves', () => served.text().includes('"signed in"'))
    const [, url = ''] = /listening on (http:[^"]+)/.exec(served.text()) ?? []
    const cut = assert.rejects(get(url, `${root}/slow?ms=60000`))
    await eventually('in flight', () => simulator.counts.requests === 1)
    const began = performance.now()
    served.stop()
    await cut
    assert.equal(await served.ended, 0)
    const took = performance.now() - began
    assert.ok(took > 900 && took < 6000, `${took} ms`)
    assert.match(served.text(), /"requests":1.*requests were cut/)
    assert.deepEqual([simulator.counts.signOuts, simulator.counts.aborted], [1, 1])
  })
})
