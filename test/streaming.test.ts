import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { downloadBytes, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, jsonOf, open } from './caller.ts'
import { openRaw } from './raw-http.ts'
import { applianceAt, type Context, eventually, startBox, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

const product = 'google-cloud'
const root = `/box${simulatorRoot[product]}`
const MB = 1024 * 1024
const run = promisify(execFile)

async function start(t: Context) {
  const box = await startBox(t, { product })
  await eventually('ready', async () => (await get(box.url, '/-/readyz')).status === 200)
  return box
}

function digestOf(chunks: Iterable<Buffer>): string {
  const hash = createHash('sha256')
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

test('a download of 200 MB arrives whole while memory stays flat', async t => {
  const { url } = await start(t)
  // What a process takes to move anything at all is not meant: the way is warm.
  for await (const _ of await open(url, { path: `${root}/downloads/large?bytes=${200 * MB}` }));
  const bytes = 200 * MB
  const answer = await open(url, { path: `${root}/downloads/large?bytes=${bytes}` })
  assert.equal(answer.headers['content-length'], String(bytes))
  const before = process.memoryUsage().rss
  let most = before
  let length = 0
  const hash = createHash('sha256')
  for await (const chunk of answer) {
    hash.update(chunk)
    length += chunk.length
    most = Math.max(most, process.memoryUsage.rss())
  }
  assert.equal(length, bytes)
  assert.equal(hash.digest('hex'), digestOf(downloadBytes('seed', 0, bytes)))
  // Appliance, proxy and caller share this process.
  assert.ok(most - before < 60 * MB, `${Math.round((most - before) / MB)} MB more`)
})

test('a caller that stops reading holds the appliance back instead of filling memory', async t => {
  const { url } = await start(t)
  const answer = await open(url, { path: `${root}/downloads/large?bytes=${300 * MB}` })
  answer.pause()
  const before = process.memoryUsage().rss
  await new Promise(resolve => setTimeout(resolve, 1500))
  const grown = process.memoryUsage().rss - before
  answer.destroy()
  assert.ok(grown < 100 * MB, `${Math.round(grown / MB)} MB more`)
})

test('an answer that its caller is slow to read is not disturbed by those that come behind it, nor they by it', async t => {
  const body = randomBytes(12 * MB)
  let small = 0
  const scripted = await startScripted(t, {
    resource({ url }, response) {
      if (url === '/large') return void response.end(body)
      small += 1
      response.end(body.subarray(0, 10_000))
    },
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const caller = openRaw(t, url)
  caller.socket.pause()
  const said = (method: string, path: string) => `${method} /box${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  caller.say(said('GET', '/large'))
  // The way is full by then, as far as the caller lets it.
  await sleep(300)
  caller.say(said('GET', '/small') + said('GET', '/small') + said('GET', '/small'))
  await eventually('they are answered', () => small === 3)
  await sleep(100)
  caller.socket.resume()
  await caller.heard(4)
  const { whole } = caller.answers()
  assert.deepEqual(
    whole.map(({ start, body }) => [start, digestOf([body])]),
    [body, ...Array.from({ length: 3 }, () => body.subarray(0, 10_000))].map(bytes => [
      'HTTP/1.1 200 OK',
      digestOf([bytes]),
    ]),
  )
})

test('uploads arrive whole, of known length and chunked', async t => {
  const { simulator, url } = await start(t)
  const body = randomBytes(20 * MB)
  const sha256 = digestOf([body])
  const pieces = () => Readable.from(Array.from({ length: 320 }, (_, i) => body.subarray(i * 65_536, (i + 1) * 65_536)))
  const known = { 'content-length': body.length }
  for (const fields of [known, { 'transfer-encoding': 'chunked' }, { ...known, expect: '100-continue' }]) {
    const reply = await call(url, { method: 'POST', path: `${root}/uploads`, fields, body: pieces() })
    assert.deepEqual([reply.status, reply.json.get('sha256'), reply.json.get('bytes')], [200, sha256, body.length])
  }
  assert.equal(simulator.counts.uploads, 3)
})

test('curl uploads with Expect: 100-continue, in pieces of unknown number and of known length', async t => {
  const { url } = await start(t)
  const folder = await mkdtemp(join(tmpdir(), 'upload-'))
  t.after(() => rm(folder, { recursive: true }))
  const body = randomBytes(3 * MB)
  const file = join(folder, 'body')
  await writeFile(file, body)
  for (const how of [
    ['-T', file, '-X', 'POST'],
    ['--data-binary', `@${file}`],
    ['--data-binary', `@${file}`, '-H', 'Transfer-Encoding: chunked'],
  ]) {
    const { stdout } = await run('curl', ['-sS', '-H', 'Expect: 100-continue', ...how, `${url}${root}/uploads`])
    assert.deepEqual([jsonOf(stdout).get('sha256'), jsonOf(stdout).get('bytes')], [digestOf([body]), body.length])
  }
})

test('a caller that leaves in the middle of a download ends the request at the appliance', async t => {
  const { simulator, url } = await start(t)
  const answer = await open(url, { path: `${root}/downloads/large?bytes=${200 * MB}` })
  answer.once('data', () => answer.destroy())
  answer.on('error', () => undefined)
  await eventually('aborted upstream', () => simulator.counts.aborted === 1)
  assert.equal((await get(url, `${root}/status/200`)).status, 200)
})

test('a caller that leaves before the answer begins ends the request at the appliance', async t => {
  const { simulator, url } = await start(t)
  const leaving = new AbortController()
  const waiting = fetch(`${url}${root}/slow?ms=60000`, { signal: leaving.signal })
  await eventually('arrived', () => simulator.counts.requests === 1)
  leaving.abort()
  await assert.rejects(waiting)
  await eventually('aborted upstream', () => simulator.counts.aborted === 1)
})

test('a caller that leaves in the middle of an upload ends the request at the appliance', async t => {
  const { simulator, url } = await start(t)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write(`POST ${root}/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${10 * MB}\r\n\r\n`)
  socket.write(randomBytes(MB))
  await eventually('arrived', () => simulator.counts.requests === 1)
  socket.destroy()
  await eventually('aborted upstream', () => simulator.counts.aborted === 1)
  assert.equal(simulator.counts.uploads, 0)
  assert.equal((await get(url, `${root}/status/200`)).status, 200)
})
