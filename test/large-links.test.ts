import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { createGzip } from 'node:zlib'
import { get, open } from './caller.ts'
import { applianceAt, eventually, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

const MB = 1_048_576
const SIZE = 100 * MB
/** Appliance, proxy and caller share the process. */
const MOST_MEMORY = 90 * MB

/** JSON with a link in every record, in pieces that are not cut where a record ends; and how many links there are. */
function* document(origin: string, count: { links: number; length: number }): Generator<Buffer> {
  let text = '['
  while (count.length < SIZE) {
    while (text.length < 65_536) {
      count.links += 1
      text += `{"id":${count.links},"text":"${'x'.repeat(count.links % 300)}","next":{"href":"${origin}/v8/Jobs/${count.links}"}},`
    }
    const piece = Buffer.from(text.slice(0, 65_536))
    text = text.slice(65_536)
    count.length += piece.length
    yield piece
  }
  count.length += text.length + 1
  yield Buffer.from(`${text}]`)
}

for (const [name, gzipped, path] of [
  ['under the name of its appliance', false, '/box/v8/Jobs'],
  ['at a listener of its own', false, '/v8/Jobs'],
  ['although the appliance has encoded it', true, '/box/v8/Jobs'],
] as const) {
  test(`100 MB of JSON come down with flat memory and every link leading to the proxy, ${name}`, async t => {
    const count = { links: 0, length: 0 }
    const send = async (origin: string, response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'application/json', ...(gzipped && { 'content-encoding': 'gzip' }) })
      const source = Readable.from(document(origin, count))
      await (gzipped ? pipeline(source, createGzip({ level: 1 }), response) : pipeline(source, response))
    }
    const scripted = await startScripted(t, {
      resource: ({ fields }, response) => void send(`https://${fields.host}`, response),
    })
    const listen = [{ address: { host: '127.0.0.1', port: 0 }, files: [] }]
    const { url, server } = await startProxy(t, [applianceAt(scripted, 'azure', { listen })])
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const own = server.servedAt('box')[1]?.replace(/\/$/, '') ?? ''
    const [at, base] = path.startsWith('/box') ? [url, `${url}/box`] : [own, own]

    // What a process takes to do it at all is not meant: the way is warm.
    for await (const _ of await open(at, { path }));
    count.links = 0
    count.length = 0
    const answer = await open(at, { path })
    assert.equal(answer.headers['content-length'], undefined)
    const before = process.memoryUsage().rss
    const found = { links: 0, length: 0, foreign: 0 }
    let tail = ''
    let most = 0
    answer.on('data', (chunk: Buffer) => {
      // What follows the last brace can be a part of a link.
      const text = tail + chunk.toString('latin1')
      const end = text.lastIndexOf('}') + 1
      const records = text.slice(0, end)
      tail = text.slice(end)
      found.links += records.split(`"${base}/v8/Jobs/`).length - 1
      found.foreign += records.split(`"${scripted.url}/`).length - 1
      found.length += chunk.length
      most = Math.max(most, process.memoryUsage.rss() - before)
    })
    await once(answer, 'end')
    assert.deepEqual([found.links, found.foreign], [count.links, 0])
    assert.equal(found.length, count.length + count.links * (base.length - scripted.url.length))
    assert.ok(found.length > SIZE * 0.9)
    assert.ok(most < MOST_MEMORY, `${Math.round(most / MB)} MB more`)
  })
}
