import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { simulatorRoot } from '../src/simulator/index.ts'
import { call, get, open, statusOf } from './caller.ts'
import { applianceAt, type Context, eventually, type Overrides, secret, startBox, startProxy } from './rig.ts'
import { type Seen, startScripted } from './scripted-appliance.ts'

const MB = 1024 * 1024
const root = `/box${simulatorRoot.azure}`

async function startBefore(t: Context, resource: (seen: Seen, response: ServerResponse) => void, overrides: Overrides) {
  const scripted = await startScripted(t, { resource })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure', overrides)])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { scripted, url }
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('more than an appliance can bear', { concurrency: 4 }, () => {
  test('what is beyond maxInFlight and its short queue gets 503 with Retry-After at once; all else is served', async t => {
    const held: ServerResponse[] = []
    const { scripted, url } = await startBefore(t, (_, response) => void held.push(response), { maxInFlight: 4 })
    const first = Array.from({ length: 4 }, () => get(url, '/box/a'))
    await eventually('four are in flight', () => held.length === 4)
    const queued = call(url, { method: 'POST', path: '/box/b', body: 'body' })
    await sleep(100)
    const began = performance.now()
    const beyond = await Promise.all([get(url, '/box/c'), get(url, '/box/c'), get(url, '/box/c')])
    assert.ok(performance.now() - began < 2000)
    for (const { status, fields, json } of beyond) {
      assert.deepEqual([status, json.get('code'), json.get('source')], [503, 'OVERLOADED', 'proxy'])
      assert.ok(Number(fields['retry-after']) >= 1)
    }
    for (const response of held) response.end('{}')
    await eventually('the queued one is in flight', () => held.length === 5)
    held[4]?.end('{}')
    for (const { status } of await Promise.all([...first, queued])) assert.equal(status, 200)
    assert.equal(scripted.requests.filter(({ url: path }) => path === '/c').length, 0)
    const last = get(url, '/box/d')
    await eventually('there is a place again', () => held.length === 6)
    held[5]?.end('{}')
    assert.equal((await last).status, 200)
  })

  test('a request that has stood in the queue for five seconds gets 503, and another may have its place', async t => {
    const held: ServerResponse[] = []
    const { url } = await startBefore(t, (_, response) => void held.push(response), { maxInFlight: 1 })
    const first = get(url, '/box/a')
    await eventually('it is in flight', () => held.length === 1)
    const began = performance.now()
    const reply = await get(url, '/box/b')
    const took = performance.now() - began
    assert.equal(reply.status, 503)
    assert.ok(took > 4500 && took < 12_000, `${took} ms`)
    const second = get(url, '/box/c')
    await sleep(100)
    held[0]?.end('{}')
    await eventually('the next one is in flight', () => held.length === 2)
    held[1]?.end('{}')
    assert.deepEqual([(await first).status, (await second).status], [200, 200])
  })

  test('callers who leave make room for others, in flight and in the queue', async t => {
    const held: ServerResponse[] = []
    const { url } = await startBefore(t, (_, response) => void held.push(response), { maxInFlight: 2 })
    const leaving = new AbortController()
    const left = Array.from({ length: 3 }, () =>
      fetch(`${url}/box/a`, { signal: leaving.signal }).catch(() => undefined),
    )
    await eventually('two are in flight', () => held.length === 2)
    await sleep(100)
    leaving.abort()
    await Promise.all(left)
    await sleep(100)
    const replies = Array.from({ length: 2 }, () => get(url, '/box/b'))
    await eventually('two others are in flight', () => held.length === 4)
    for (const response of held) response.end('{}')
    for (const { status } of await Promise.all(replies)) assert.equal(status, 200)
  })

  test('a caller who reads in a trickle holds the appliance back: it cannot send much more than is read', async t => {
    let written = 0
    const block = randomBytes(65_536)
    const pour = (_: Seen, response: ServerResponse) => {
      response.writeHead(200, { 'content-length': 200 * MB })
      const more = () => {
        while (written < 200 * MB && !response.destroyed) {
          written += block.length
          if (!response.write(block)) return void response.once('drain', more)
        }
      }
      more()
    }
    const { url } = await startBefore(t, pour, {})
    const before = process.memoryUsage.rss()
    const answer = await open(url, { path: '/box/large' })
    t.after(() => answer.destroy())
    let read = 0
    let most = 0
    for (let i = 0; i < 50; i += 1) {
      read += answer.read()?.length ?? 0
      most = Math.max(most, process.memoryUsage.rss() - before)
      await sleep(50)
    }
    assert.ok(read > 0)
    // What the kernel's buffers of two connections take, and a little for each process.
    assert.ok(written - read < 32 * MB, `${Math.round(written / MB)} MB written, ${Math.round(read / MB)} MB read`)
    assert.ok(most < 100 * MB, `${Math.round(most / MB)} MB more`)
  })

  test('a hundred callers who send small bodies slowly hold no place at the appliance', async t => {
    const { simulator, url } = await startBox(t, { product: 'azure' }, { maxInFlight: 4 })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const slow = Array.from({ length: 100 }, (_, id) => {
      const body = new PassThrough()
      body.write(randomBytes(30_000))
      const path = `${root}/effects?id=${id}`
      return { body, reply: call(url, { method: 'POST', path, fields: { 'content-length': 40_000 }, body }) }
    })
    await sleep(300)
    for (let i = 0; i < 5; i += 1) assert.equal((await get(url, `${root}/status/200`)).status, 200)
    assert.equal(simulator.counts.requests, 5)
    for (const { body, reply } of slow) {
      body.end(randomBytes(10_000))
      assert.equal((await reply).status, 201)
    }
    assert.deepEqual([simulator.counts.effects, simulator.counts.duplicateEffects], [100, 0])
  })

  for (const [why, overrides, misbehave] of [
    ['finds no session', { credentials: { type: 'password', username: 'x', password: secret('wrong') } }, undefined],
    ['finds no place', { maxInFlight: 1 }, 'hang'],
  ] as const) {
    test(`an upload that ${why} is answered, and its connection serves the next request`, async t => {
      const { simulator, url } = await startBox(t, { product: 'azure' }, overrides)
      await eventually('signed in or refused', async () => !/sign/.test(String((await statusOf(url)).get('state'))))
      if (misbehave !== undefined) simulator.misbehave({ where: 'resources', answer: misbehave })
      const leaving = new AbortController()
      const holding = Array.from({ length: 2 }, () =>
        fetch(`${url}${root}/status/200`, { signal: leaving.signal }).catch(() => undefined),
      )
      await sleep(200)
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
        await eventually('it is turned away', () => /SIGN_IN_REFUSED|OVERLOADED/.test(answers))
        socket.write('GET /-/livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
        await eventually(`the next request is served after ${field}`, () => answers.includes('"status":"live"'), 5000)
      }
      leaving.abort()
      await Promise.all(holding)
    })
  }
})
