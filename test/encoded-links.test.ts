import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { get, open } from './caller.ts'
import { applianceAt, type Context, eventually, startProxy } from './rig.ts'
import { type Seen, startScripted } from './scripted-appliance.ts'

const MB = 1_048_576
const json = { 'content-type': 'application/json; charset=utf-8' }

/** An appliance that answers as told, and a proxy before it, which has a listener for it as well. */
async function start(t: Context, resource: (origin: string, response: ServerResponse, seen: Seen) => void) {
  const scripted = await startScripted(t, {
    resource: (seen, response) => resource(`https://${seen.fields.host}`, response, seen),
  })
  const listen = [{ address: { host: '127.0.0.1', port: 0 }, files: [] }]
  const { url, server } = await startProxy(t, [applianceAt(scripted, 'azure', { listen })])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const ownUrl = server.servedAt('box')[1]?.replace(/\/$/, '') ?? ''
  return { requests: scripted.requests, origin: scripted.url, url, ownUrl }
}

const page = (origin: string, base = origin) => `{"text":"${origin} is up","next":{"href":"${base}/v8?a=1"}}`

/** One byte, or everything, at a time. */
function send(response: ServerResponse, body: Buffer, pieces: 'whole' | 'byte by byte'): void {
  if (pieces === 'whole') response.write(body)
  else for (const byte of body) response.write(Buffer.of(byte))
  response.end()
}

const codings: [name: string, coding: string, encode: (body: string) => Buffer][] = [
  ['gzip', 'gzip', gzipSync],
  ['X-GZIP', 'X-GZIP', gzipSync],
  ['deflate', 'deflate', deflateSync],
  ['deflate without the zlib format around it', 'deflate', deflateRawSync],
  ['br', 'br', brotliCompressSync],
  ['gzip in two members', 'gzip', body => Buffer.concat([gzipSync(body.slice(0, 40)), gzipSync(body.slice(40))])],
]

describe('a body that the appliance encodes although it was asked not to', { concurrency: 4 }, () => {
  for (const [name, coding, encode] of codings) {
    test(`in ${name} comes down decoded, its links leading to the proxy`, async t => {
      for (const pieces of ['whole', 'byte by byte'] as const) {
        const { origin, url, ownUrl, requests } = await start(t, (own, response) => {
          const body = encode(page(own))
          const length = pieces === 'whole' ? { 'content-length': body.length } : {}
          const fields = {
            ...json,
            'content-encoding': coding,
            etag: '"1"',
            'content-md5': 'x',
            vary: 'accept-encoding',
          }
          response.writeHead(200, { ...fields, ...length })
          send(response, body, pieces)
        })
        for (const [at, path, base] of [
          [url, '/box/v8', `${url}/box`],
          [ownUrl, '/v8', ownUrl],
        ] as const) {
          const { text, fields } = await get(at, path, { 'accept-encoding': 'gzip, br' })
          assert.equal(text, page(origin, base), pieces)
          assert.deepEqual(
            ['etag', 'vary', 'content-encoding', 'content-length', 'content-md5'].map(field => fields[field]),
            ['W/"1"', 'accept-encoding', undefined, undefined, undefined],
          )
        }
        assert.equal(requests.at(-1)?.fields['accept-encoding'], 'identity')
      }
    })
  }

  test('in a coding that is not known, or in several, comes down as it is', async t => {
    for (const coding of ['zstd', 'gzip, br', 'constructor', '']) {
      const body = gzipSync('{"href":"/x"}')
      const { url } = await start(t, (_, response) => {
        response.writeHead(200, { ...json, 'content-encoding': coding, 'content-length': body.length, etag: '"1"' })
        response.end(body)
      })
      const reply = await get(url, '/box/v8')
      assert.ok(reply.body.equals(body), coding)
      assert.deepEqual([reply.fields['content-encoding'], reply.fields.etag], [coding, '"1"'])
      assert.equal(Number(reply.fields['content-length']), body.length)
    }
  })

  test('that can hold no links comes down as it is, and so does a part of a body', async t => {
    const { url } = await start(t, (own, response, { url: path }) => {
      const body = gzipSync(page(own))
      const type = path === '/part' ? json : { 'content-type': 'application/octet-stream' }
      response.writeHead(path === '/part' ? 206 : 200, {
        ...type,
        'content-encoding': 'gzip',
        'content-length': body.length,
      })
      response.end(body)
    })
    for (const path of ['/box/download', '/box/part']) {
      const { fields, body } = await get(url, path)
      assert.equal(fields['content-encoding'], 'gzip', path)
      assert.equal(Number(fields['content-length']), body.length)
    }
  })

  test('that is none at all is an empty answer', async t => {
    const { url } = await start(t, (_, response) => {
      response.writeHead(200, { ...json, 'content-encoding': 'gzip', 'content-length': 0 })
      response.end()
    })
    const { status, body } = await get(url, '/box/v8')
    assert.deepEqual([status, body.length], [200, 0])
  })

  test('that cannot be decoded, or breaks off, is an answer that visibly breaks off, and hurts nobody', async t => {
    const whole = gzipSync(page('https://box.example').repeat(1000))
    const broken = [Buffer.from('{"no":"gzip"}'), whole.subarray(0, -20), Buffer.from(whole).fill(0xff, 40, 60)]
    for (const coding of ['gzip', 'deflate', 'br']) {
      let nth = 0
      const { url } = await start(t, (_, response, { url: path }) => {
        if (path === '/good') return response.end('good')
        response.writeHead(200, { ...json, 'content-encoding': coding })
        response.end(broken[nth])
      })
      for (nth = 0; nth < broken.length; nth += 1)
        await assert.rejects(get(url, '/box/v8'), /aborted|hang up|ECONNRESET/)
      assert.equal((await get(url, '/box/good')).text, 'good')
    }
  })

  test('is held back while its caller does not read, and ended when the caller leaves', async t => {
    const piece = gzipSync(JSON.stringify({ text: 'x'.repeat(MB) }))
    const sent = { pieces: 0, closed: false }
    const { url } = await start(t, (_, response) => {
      response.writeHead(200, { ...json, 'content-encoding': 'gzip' })
      response.once('close', () => {
        sent.closed = true
      })
      const more = () => {
        while (!response.destroyed && sent.pieces < 100_000) {
          sent.pieces += 1
          if (!response.write(piece)) return
        }
      }
      response.on('drain', more)
      more()
    })
    const before = process.memoryUsage().arrayBuffers
    const answer = await open(url, { path: '/box/v8' })
    answer.pause()
    await sleep(1_500)
    const grown = process.memoryUsage().arrayBuffers - before
    assert.ok(grown < 50 * MB, `grew by ${Math.round(grown / MB)} MB`)
    assert.equal(sent.closed, false)
    answer.destroy()
    answer.on('error', () => undefined)
    await eventually('the appliance sees it', () => sent.closed)
  })
})
