import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulatedProducts, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, statusOf } from './caller.ts'
import { applianceAt, type Context, eventually, simulate, startBox, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

/** One appliance of every product, called as its product. */
async function startAll(t: Context) {
  const simulators = await Promise.all(simulatedProducts.map(product => simulate(t, { product })))
  const appliances = simulatedProducts.map((product, i) => {
    const simulator = simulators[i]
    assert.ok(simulator)
    return { ...applianceAt(simulator, product), name: product }
  })
  return startProxy(t, appliances)
}

test('every appliance is served under its name, and as NAME.localhost at the root path', async t => {
  const { url } = await startAll(t)
  for (const product of simulatedProducts) {
    const path = `${simulatorRoot[product]}/status/200`
    assert.equal((await get(url, `/${product}${path}`)).status, 200)
    for (const host of [`${product}.localhost`, `${product}.localhost:8080`, `${product.toUpperCase()}.LocalHost:1`]) {
      assert.equal((await get(url, path, { host })).status, 200, host)
    }
  }
})

test('an unknown name is a 404 problem that lists the names there are', async t => {
  const { url } = await startAll(t)
  for (const path of ['/nobody/x', '/AZURE/x', '/azure2', '/azure%2Fx']) {
    const reply = await get(url, path)
    assert.equal(reply.status, 404, path)
    assert.match(reply.fields['content-type'] ?? '', /^application\/problem\+json(;|$)/)
    assert.deepEqual([reply.json.get('code'), reply.json.get('source')], ['UNKNOWN_APPLIANCE', 'proxy'], path)
    for (const product of simulatedProducts) assert.match(String(reply.json.get('detail')), new RegExp(product))
    assert.deepEqual(reply.json.get('appliances'), [...simulatedProducts])
  }
})

test('a path that cannot be decoded gets a problem like any other', async t => {
  const { url } = await startBox(t, { product: 'azure' })
  for (const path of ['/nobody/%ff', '/%ff', '/-/%ff']) {
    const reply = await get(url, path)
    assert.ok(reply.status === 400 || reply.status === 404, `${path}: ${reply.status}`)
    assert.equal(reply.json.get('source'), 'proxy', reply.text)
  }
})

test('livez answers whatever the appliances do', async t => {
  const { url } = await startBox(t, { product: 'azure', latency: 60_000 })
  assert.equal((await get(url, '/-/livez')).status, 200)
})

test('readyz is 503 and names who lacks a session until every appliance has one', async t => {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  const slow = await startScripted(t, {
    async token() {
      await opened
      return { body: { access_token: 'a', expires_in: 60 } }
    },
  })
  const quick = await startScripted(t, {})
  const boxes = [
    { ...applianceAt(slow, 'azure'), name: 'slow' },
    { ...applianceAt(quick, 'azure'), name: 'quick' },
  ]
  const { url } = await startProxy(t, boxes)
  await eventually('quick is live', async () => (await statusOf(url, 'quick')).get('state') === 'live')
  const before = await get(url, '/-/readyz')
  assert.deepEqual([before.status, before.json.get('missing')], [503, ['slow']])
  open()
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  assert.deepEqual((await get(url, '/-/readyz')).json.get('missing'), [])
})

test('status tells state, grant, since, expiry, renewal and the last error of each appliance', async t => {
  const { simulator, url } = await startBox(t, { product: 'google-cloud', tokenLife: 100 })
  const began = Date.now()
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const status = await statusOf(url)
  assert.deepEqual(
    [status.get('product'), status.get('url'), status.get('state'), status.get('grant'), status.get('lastError')],
    ['google-cloud', simulator.url, 'live', 'password', null],
  )
  const at = (name: string) => Date.parse(String(status.get(name)))
  assert.ok(Math.abs(at('since') - began) < 5000)
  assert.ok(Math.abs(at('expiresAt') - began - 100_000) < 5000)
  const share = (at('renewsAt') - began) / 100_000
  assert.ok(share > 0.65 && share < 0.85, String(share))
})

test('a path under /-/ that does not exist is a problem of the proxy, and reaches no appliance', async t => {
  const { simulator, url } = await startBox(t, { product: 'azure' })
  for (const path of ['/-/nothing', '/-', '/-/status/more', '/-/page/x/main.js']) {
    const reply = await get(url, path)
    assert.deepEqual([reply.status, reply.json.get('source')], [404, 'proxy'], path)
  }
  assert.equal(simulator.counts.requests, 0)
})

test('a single appliance that is served at the root leaves /-/ to the proxy', async t => {
  const { simulator, url } = await startBox(t, { product: 'azure' }, {}, { mount: 'root' })
  assert.equal((await get(url, `${simulatorRoot.azure}/status/200`)).status, 200)
  assert.equal((await get(url, '/-/livez')).json.get('status'), 'live')
  assert.equal((await get(url, '/box/x')).status, 404)
  assert.equal(simulator.counts.requests, 1)
})

test('no answer of the proxy itself is ever a 401', async t => {
  const { simulator, url } = await startBox(t, { product: 'azure', password: 'another' })
  await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
  const paths = ['/box/x', '/-/readyz', '/-/status', '/nobody']
  for (const path of paths) assert.notEqual((await get(url, path)).status, 401)
  const again = await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
  assert.deepEqual([again.status, again.json.get('code')], [502, 'SIGN_IN_REFUSED'])
  assert.equal(simulator.counts.refusedSignIns, 2)
})
