import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { History } from '../src/status/history.ts'
import { rowOf } from '../src/status/page/row.ts'
import { Watchers } from '../src/status/page/watchers.ts'
import { get, open, statusOf } from './caller.ts'
import { type Context, eventually, secret, startBox } from './rig.ts'

interface Message {
  rows: Record<string, Record<string, string>>
  names?: string[]
}

/** The events that one open page gets. */
async function watch(t: Context, url: string, fields = {}) {
  const answer: IncomingMessage = await open(url, { path: '/-/events', fields })
  t.after(() => answer.destroy())
  // A stream may be silent for as long as it likes: the slower the looks, the longer the pauses between them.
  answer.setTimeout(0)
  const messages: Message[] = []
  let text = ''
  let isOver = false
  answer.setEncoding('utf8')
  answer.on('data', (chunk: string) => {
    const isWhole = `${text.slice(-1)}${chunk}`.includes('\n\n')
    text += chunk
    if (!isWhole) return
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) messages.push(JSON.parse(block.replace(/^data: /, '')))
  })
  answer.once('end', () => {
    isOver = true
  })
  answer.once('error', () => {
    isOver = true
  })
  return { answer, messages, isOver: () => isOver }
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('events of the status page', { concurrency: 6 }, () => {
  test('they begin with everything, go on with what changes, at most once a second, and give a sign of life', async t => {
    const { simulator, url } = await startBox(t, { product: 'azure' })
    await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
    const { answer, messages } = await watch(t, url)
    assert.equal(answer.headers['content-type'], 'text/event-stream')
    await eventually('the first', () => messages.length === 1)
    assert.deepEqual(messages[0]?.names, ['box'])
    assert.match(messages[0]?.rows.box?.state ?? '', /Live/)
    const began = performance.now()
    while (performance.now() - began < 3_000) await get(url, '/box/api/v8.1/policies')
    assert.ok(messages.length >= 3 && messages.length <= 5, `${messages.length} in three seconds`)
    // A rate that is as it was when rounded has no new markup, and still a new key to sort by.
    const rates = messages.map(({ rows }) => JSON.parse(rows.box?.keys ?? '{}').traffic)
    assert.ok(
      rates.every((rate, i) => typeof rate === 'number' && rate !== rates[i - 1]),
      JSON.stringify(rates),
    )
    const shown: Record<string, string> = {}
    for (const { rows } of messages) {
      const news = Object.entries(rows.box ?? {})
      assert.ok(
        news.every(([part, markup]) => shown[part] !== markup),
        JSON.stringify(rows),
      )
      Object.assign(shown, rows.box)
    }
    assert.ok(messages.slice(1).every(({ rows, names }) => names === undefined && rows.box?.certificate === undefined))
    await simulator.close()
    // The rate of a minute ago falls for a minute; whatever comes after that is a sign of life.
    const counted = messages.length
    await eventually('a sign of life', () => messages.length > counted, 25_000)
  })

  test('nobody who listens for nothing hears more than the sign of life', async t => {
    const { url } = await startBox(t, { product: 'azure' })
    await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
    const { messages } = await watch(t, url)
    await sleep(4_000)
    assert.equal(messages.length, 1)
    await eventually('the second', () => messages.length === 2, 20_000)
    assert.deepEqual(messages[1]?.rows, {})
  })

  test('a stream that is open does not hold a shutdown up, and ends when the proxy moves to another address', async t => {
    const listen = { address: { host: 'localhost', port: 0 }, files: [] }
    const load = async () => ({ ...server.configuration, listen })
    const { url, server } = await startBox(t, { product: 'azure' }, {}, { load })
    const left = await watch(t, url)
    await server.reload()
    await eventually('the stream from the old address ends', left.isOver)
    const { isOver } = await watch(t, server.url.replace('[::1]', 'localhost'))
    const began = performance.now()
    await server.close(10_000)
    assert.ok(performance.now() - began < 5_000)
    await eventually('the stream ends in order', isOver)
  })

  test('a reader that does not read is dropped, others go on, and nothing piles up for it', async t => {
    const { server } = await startBox(t, { product: 'azure' })
    const appliance = server.appliances.get('box')
    assert.ok(appliance)
    const watchers = new Watchers()
    let looks = 0
    watchers.show(() => {
      looks += 1
      const trouble = { title: `${looks}`, detail: 'x'.repeat(12_000_000), remedy: '', at: 0, times: 1 }
      return [{ ...rowOf(appliance, new History()), trouble }]
    })
    const responses: ServerResponse[] = []
    const site = createServer((_, response) => {
      responses.push(response)
      watchers.add({ response, mayAct: true, maySee: () => true })
    })
    await new Promise<void>(resolve => site.listen(0, '127.0.0.1', resolve))
    t.after(() => site.close())
    t.after(() => watchers.end())
    const address = site.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const lazy = connect(port, '127.0.0.1')
    t.after(() => lazy.destroy())
    lazy.on('error', () => undefined)
    lazy.write('GET /-/events HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await eventually('it is sent the first', () => responses.length === 1)
    const { messages, isOver } = await watch(t, `http://127.0.0.1:${port}`)
    await eventually('the other is sent more than one', () => messages.length > 1, 60_000)
    assert.ok((responses[0]?.writableLength ?? 0) < 15_000_000, 'one message waits, and no more')
    await eventually('it is dropped', () => responses[0]?.destroyed === true, 60_000)
    assert.ok(!isOver())
  })

  test('no more pages than a bound may watch at the same time, and one that leaves makes room', async t => {
    const { url } = await startBox(t, { product: 'azure' })
    const all = await Promise.all(Array.from({ length: 64 }, () => watch(t, url)))
    const refused = await get(url, '/-/events')
    assert.deepEqual([refused.status, refused.json.get('code')], [503, 'OVERLOADED'])
    all[0]?.answer.destroy()
    await eventually('room', async () => {
      const { statusCode, destroy } = await open(url, { path: '/-/events' }).then(answer => {
        t.after(() => answer.destroy())
        return { statusCode: answer.statusCode, destroy: () => answer.destroy() }
      })
      if (statusCode !== 200) destroy()
      return statusCode === 200
    })
  })

  test('a reader is told of everything but the buttons, and nobody at all of nothing', async t => {
    const callers = [
      { name: 'reader', secret: secret('a-secret-for-the-reader'), rule: {}, admin: false },
      { name: 'boss', secret: secret('a-secret-for-the-boss'), rule: {}, admin: true },
    ]
    const { url } = await startBox(t, { product: 'azure' }, {}, { guard: { callers } })
    assert.equal((await get(url, '/-/events')).status, 401)
    const reader = await watch(t, url, { 'x-proxy-key': 'a-secret-for-the-reader' })
    const boss = await watch(t, url, { 'x-proxy-key': 'a-secret-for-the-boss' })
    await eventually('both', () => reader.messages.length > 0 && boss.messages.length > 0)
    assert.equal(reader.messages[0]?.rows.box?.actions, undefined)
    assert.match(boss.messages[0]?.rows.box?.actions ?? '', /Sign out/)
  })

  test('a page that is open hears nothing more once a reload has taken its caller away, or has set callers at all', async t => {
    const reader = { name: 'reader', secret: secret('a-secret-for-the-reader'), rule: {}, admin: false }
    const another = { ...reader, secret: secret('another-secret-for-the-reader') }
    for (const before of [[], [reader]]) {
      const load = async () => ({
        ...server.configuration,
        guard: { ...server.configuration.guard, callers: [another] },
      })
      const { url, server } = await startBox(t, { product: 'azure' }, {}, { guard: { callers: before }, load })
      const { messages, isOver } = await watch(t, url, { 'x-proxy-key': 'a-secret-for-the-reader' })
      await eventually('it is open', () => messages.length > 0)
      await server.reload()
      await eventually('the stream ends', isOver)
      assert.equal((await get(url, '/-/events', { 'x-proxy-key': 'a-secret-for-the-reader' })).status, 401)
    }
  })
})
