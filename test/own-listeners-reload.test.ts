import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { ApplianceConfiguration, Configuration } from '../src/config/configuration.ts'
import type { Listen } from '../src/listen/address.ts'
import { createCertificate, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, type Reply } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { ask, certificateAt, freePort } from './listener-rig.ts'
import { applianceAt, eventually, sharedCertificate, simulate, startProxy } from './rig.ts'

const root = simulatorRoot.azure
const at = (port: number): Listen => ({ address: { host: '127.0.0.1', port } })
const urlAt = (port: number) => `http://127.0.0.1:${port}`

/** Simulated appliances called a and b, and a proxy whose next configuration `reload` takes up. */
async function site(t: TestContext, first: Readonly<Record<string, Listen[]>>) {
  const simulators = { a: await simulate(t, { product: 'azure' }), b: await simulate(t, { product: 'azure' }) }
  const appliances = (listens: Readonly<Record<string, Listen[]>>): ApplianceConfiguration[] =>
    (['a', 'b'] as const).flatMap(name => {
      const listen = listens[name]?.map(place => ({ ...place, files: [] }))
      return listen === undefined ? [] : [applianceAt(simulators[name], 'azure', { name, listen })]
    })
  let next: Configuration | undefined
  const { path: authorityDirectory } = temporaryFolder(t)
  const load = async () => next ?? assert.fail('nothing to load')
  const { server, url } = await startProxy(t, appliances(first), { load, authorityDirectory })
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  async function reload(listens: Readonly<Record<string, Listen[]>>, changes: Partial<Configuration> = {}) {
    next = { ...server.configuration, appliances: appliances(listens), ...changes }
    return call(url, { method: 'POST', path: '/-/reload' })
  }
  return { server, url, simulators, reload }
}

/** Which of the two simulators answers there. */
async function whoAnswers(url: string, { a, b }: Awaited<ReturnType<typeof site>>['simulators']): Promise<string> {
  const before = [a.counts.requests, b.counts.requests]
  assert.equal((await get(url, `${root}/status/200`)).status, 200)
  if (a.counts.requests === (before[0] ?? 0) + 1) return 'a'
  return b.counts.requests === (before[1] ?? 0) + 1 ? 'b' : 'nobody'
}

function assertRefused(reply: Reply, pattern: RegExp): void {
  assert.deepEqual([reply.status, reply.json.get('code')], [422, 'CONFIGURATION_REFUSED'], reply.text)
  assert.match(reply.text, pattern)
}

// One after the other: a port that one test finds free must not be given to another one.
describe('a reload', () => {
  test('opens new listeners and leaves removed ones, whose requests in flight finish', async t => {
    const [one, two] = [await freePort(), await freePort()]
    const { simulators, reload, server } = await site(t, { a: [at(one)] })
    const inFlight = get(urlAt(one), `${root}/slow?ms=1500`)
    await eventually('in flight', () => simulators.a.counts.requests === 1)
    assert.equal((await reload({ a: [at(two)] })).status, 200)
    assert.deepEqual(server.servedAt('a'), [`${server.url}/a/`, `${urlAt(two)}/`])
    assert.equal(await whoAnswers(urlAt(two), simulators), 'a')
    await assert.rejects(get(urlAt(one), '/x'), /ECONNREFUSED/)
    assert.equal((await inFlight).status, 200)
    assert.deepEqual([simulators.a.counts.tokenRequests, simulators.a.counts.aborted], [1, 0])
  })

  test('with a port that cannot be had is refused whole: other listeners and appliances stay as they were', async t => {
    const [one, two, taken] = [await freePort(), await freePort(), createServer().listen(0, '127.0.0.1')]
    t.after(() => taken.close())
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { simulators, reload, url } = await site(t, { a: [at(one)] })
    const reply = await reload({ a: [at(two)], b: [at(port)] })
    assertRefused(reply, new RegExp(`b: 127\\.0\\.0\\.1:${port} is taken by another process`))
    assert.equal(await whoAnswers(urlAt(one), simulators), 'a')
    await eventually('what had been opened is closed', () =>
      get(urlAt(two), '/x').then(
        () => false,
        () => true,
      ),
    )
    assert.equal((await get(url, '/b/x')).status, 404)
    assert.equal(simulators.b.counts.tokenRequests, 0)
  })

  test('can give the listener of one appliance to another, without a gap', async t => {
    const [one, two] = [await freePort(), await freePort()]
    const { simulators, reload } = await site(t, { a: [at(one)], b: [at(two)] })
    assert.equal(await whoAnswers(urlAt(one), simulators), 'a')
    assert.equal((await reload({ a: [at(two)], b: [at(one)] })).status, 200)
    assert.equal(await whoAnswers(urlAt(one), simulators), 'b')
    assert.equal(await whoAnswers(urlAt(two), simulators), 'a')
  })

  test('keeps the free port that a listener was given', async t => {
    const { server, reload, simulators } = await site(t, { a: [at(0)] })
    const before = server.servedAt('a')
    assert.equal((await reload({ a: [at(0)], b: [at(0)] })).status, 200)
    assert.deepEqual(server.servedAt('a'), before)
    assert.notEqual(server.servedAt('b')[1], before[1])
    assert.equal(await whoAnswers(server.servedAt('b')[1]?.replace(/\/$/, '') ?? '', simulators), 'b')
  })

  test('takes a Unix socket up and away', async t => {
    const path = join(temporaryFolder(t).path, 'a.sock')
    const { reload, server } = await site(t, { a: [] })
    assert.equal((await reload({ a: [{ address: { path } }] })).status, 200)
    assert.deepEqual(server.servedAt('a')[1], `unix:${path}:/`)
    const over = () => ask('http://localhost', { socketPath: path, path: `${root}/status/200` })
    assert.equal((await over()).status, 200)
    assert.equal((await reload({ a: [] })).status, 200)
    await eventually('gone', () =>
      over().then(
        () => false,
        error => error.code === 'ENOENT',
      ),
    )
  })

  test('shows the new certificate of a listener, and refuses one that does not fit its key, with everything else', async t => {
    const [first, second] = [await sharedCertificate(), await createCertificate()]
    const [one, two] = [await freePort(), await freePort()]
    const pair = (cert: string, key: string): Listen => ({ ...at(one), tls: { cert, key } })
    const { reload } = await site(t, { a: [pair(first.cert, first.key)] })
    const shows = (ca: string) =>
      ask(`https://127.0.0.1:${one}`, { ca, servername: 'localhost', path: `${root}/status/200` })
    assert.equal((await shows(first.cert)).status, 200)
    const bad = await reload({ a: [pair(second.cert, first.key)], b: [at(two)] })
    assertRefused(bad, /cannot be listened on with this certificate and key/)
    assert.equal((await shows(first.cert)).status, 200)
    await assert.rejects(get(urlAt(two), '/x'))
    assert.equal((await reload({ a: [pair(second.cert, second.key)] })).status, 200)
    assert.equal((await shows(second.cert)).status, 200)
  })

  test('names a new appliance in the certificates that are made by themselves', async t => {
    const auto: Listen = { ...at(0), tls: 'auto' }
    const { server, reload } = await site(t, { a: [auto] })
    const [, url = ''] = server.servedAt('a')
    const names = async () => (await certificateAt(url)).subjectaltname?.split(', ').filter(name => /[ab]\./.test(name))
    assert.deepEqual(await names(), ['DNS:a.localhost'])
    assert.equal((await reload({ a: [auto], b: [] })).status, 200)
    assert.deepEqual(await names(), ['DNS:a.localhost', 'DNS:b.localhost'])
  })

  test('that would change between HTTP and HTTPS at the same address is refused, and says what to do', async t => {
    const one = await freePort()
    const { simulators, reload } = await site(t, { a: [at(one)] })
    assertRefused(
      await reload({ a: [{ ...at(one), tls: 'auto' }] }),
      new RegExp(`127\\.0\\.0\\.1:${one} cannot change its TLS while the proxy runs; restart it`),
    )
    assert.equal(await whoAnswers(urlAt(one), simulators), 'a')
  })
})
