import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadConfiguration } from '../src/config/load.ts'
import { namedVersion } from '../src/dialects/api-version.ts'
import { type SimulatorOptions, simulatorRoot } from '../src/simulator/index.ts'
import { get, statusOf } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { live } from './emulated.ts'
import { applianceAt, eventually, secret, simulate, startBox, startProxy } from './rig.ts'
import { type Spoken, startScripted } from './scripted-appliance.ts'

const product = 'google-cloud'
const path = `/box${simulatorRoot[product]}/echo`
/** As the configuration leaves them. */
const unset = { shortTermRefresh: false }

function start(t: TestContext, apiVersion?: unknown, simulator: Partial<SimulatorOptions> = {}) {
  const options = apiVersion === undefined ? unset : { ...unset, apiVersion }
  return startBox(t, { product, ...simulator }, { options })
}

/** The values of x-api-version with which a request reached the appliance. */
async function arrived(url: string, fields: Record<string, string | string[]> = {}): Promise<unknown[]> {
  const { json, status } = await get(url, path, fields)
  assert.equal(status, 200)
  const raw = json.get('rawHeaders')
  const flat: unknown[] = Array.isArray(raw) ? raw : []
  return flat.filter((_, i) => String(flat[i - 1]).toLowerCase() === 'x-api-version')
}

test('x-api-version is set for a caller that sends none, and kept when it sends one', async t => {
  for (const [apiVersion, set] of [
    [undefined, '1.4-rev0'],
    ['1.3-rev0', '1.3-rev0'],
    [{ value: '1.2-rev0' }, '1.2-rev0'],
    [{ value: '1.2-rev0', force: false }, '1.2-rev0'],
  ] as const) {
    const { url } = await start(t, apiVersion)
    await live(url)
    assert.deepEqual(await arrived(url), [set])
    assert.deepEqual(await arrived(url, { 'X-API-Version': '1.1-rev0' }), ['1.1-rev0'])
  }
})

test("a forced apiVersion takes the place of a caller's own, in any spelling of the field", async t => {
  const { url } = await start(t, { value: '1.2-rev0', force: true })
  await live(url)
  for (const fields of [
    {},
    { 'x-api-version': '1.0-rev0' },
    { 'X-Api-Version': 'v9' },
    { x_api_version: '1.0-rev0' },
  ]) {
    assert.deepEqual(await arrived(url, fields), ['1.2-rev0'])
  }
})

test('an appliance that refuses our version is signed in to with the newest that it names', async t => {
  const supportedVersions = ['1.0-rev1', '1.2-rev0', '1.1-rev10']
  const { url, simulator, lines } = await start(t, undefined, { supportedVersions })
  await live(url)
  assert.ok(lines.some(line => line.includes('"signed in"') && line.includes('"apiVersion":"1.2-rev0"')))
  assert.deepEqual([simulator.counts.tokenRequests, simulator.counts.signIns], [2, 1])
  assert.deepEqual(await arrived(url), ['1.2-rev0'])
  assert.deepEqual(await arrived(url, { 'x-api-version': '1.0-rev1' }), ['1.0-rev1'])
  assert.equal(
    (await get(url, path, { 'x-api-version': '1.4-rev0' })).status,
    400,
    "a caller's own is kept, and refused",
  )
})

test('the version is asked for once: renewals, sign-outs and the next process go on with it', async t => {
  const options: SimulatorOptions = { product, supportedVersions: ['1.0-rev1'], tokenLife: 2 }
  const simulator = await simulate(t, options)
  const directory = join(temporaryFolder(t).path, 'state')
  const state = { directory, key: secret('a state key for tests, 32 letters') }
  const run = (parts: object) => startProxy(t, [applianceAt(simulator, product, { options: unset })], parts)
  const first = await run({ state })
  await eventually('renewed', () => simulator.counts.refreshes > 0)
  await first.server.close(1000)
  const { tokenRequests, signIns, refreshes } = simulator.counts
  assert.deepEqual([signIns, tokenRequests - refreshes - signIns], [1, 1])
  const second = await run({ state })
  await live(second.url)
  assert.deepEqual(await arrived(second.url), ['1.0-rev1'])
  await second.server.close(1000)
  assert.equal(simulator.counts.tokenRequests - simulator.counts.refreshes, 2, 'nothing was refused again')
  const third = await run({})
  await live(third.url)
  await third.server.close(1000)
  assert.equal(simulator.counts.signOuts, 1)
})

test('the version is remembered without a session too, so that a refused password costs no further refusal', async t => {
  const simulator = await simulate(t, { product, supportedVersions: ['1.3-rev0'], password: 'another password' })
  const directory = join(temporaryFolder(t).path, 'state')
  const state = { directory, key: secret('a state key for tests, 32 letters') }
  for (let i = 0; i < 2; i += 1) {
    const { server, url } = await startProxy(t, [applianceAt(simulator, product, { options: unset })], { state })
    await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
    await server.close(1000)
  }
  const { tokenRequests, refusedSignIns } = simulator.counts
  assert.deepEqual([tokenRequests, refusedSignIns], [3, 2])
})

test('a code is not spent on a refused version', async t => {
  const simulator = await simulate(t, { product, supportedVersions: ['1.3-rev0'] })
  const credentials = { type: 'authorization_code', code: secret(simulator.issueAuthorizationCode()) } as const
  const { url } = await startProxy(t, [applianceAt(simulator, product, { options: unset, credentials })])
  await live(url)
  assert.deepEqual([simulator.counts.tokenRequests, simulator.counts.authorizationCodes], [2, 1])
})

test('a version that the configuration names is never left, forced or not', async t => {
  for (const apiVersion of ['1.4-rev0', { value: '1.4-rev0' }, { value: '1.4-rev0', force: true }]) {
    const { url, simulator } = await start(t, apiVersion, { supportedVersions: ['1.0-rev1'] })
    await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
    const { status, json } = await get(url, path)
    assert.deepEqual([status, json.get('code')], [502, 'VERSION_REFUSED'])
    assert.match(String(json.get('detail')), /versions are supported: v1\.0-rev1/)
    assert.equal(simulator.counts.tokenRequests, 1)
  }
})

const refusals: readonly [what: string, body: unknown, requests: number][] = [
  ['names no version', { errorCode: 'NotImplemented', message: 'Unsupported RESTAPI version.' }, 1],
  ['names ours only', { message: 'Unsupported API version. Supported: v1.4-rev0' }, 1],
  ['names others that it refuses as well', { message: 'Unsupported API version. Supported: 1.0-rev0, 1.3-rev0' }, 2],
]
for (const [what, body, requests] of refusals) {
  test(`an appliance that refuses our version and ${what} is asked no further, and the sign-in is refused`, async t => {
    const refusal: Spoken = { status: 400, body }
    const scripted = await startScripted(t, { token: () => refusal })
    const { url } = await startProxy(t, [applianceAt(scripted, product, { options: unset })])
    await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
    assert.equal((await get(url, '/box/x')).json.get('code'), 'VERSION_REFUSED')
    assert.equal(scripted.tokenRequests.length, requests)
  })
}

test('the newest of the versions that are named is found by number, not by letter', () => {
  const named = (text: string, status = 400, ours = '1.4-rev0') =>
    namedVersion({ status, fields: {}, body: JSON.stringify({ message: text }) }, ours)
  const said = 'Unsupported RESTAPI version. The following versions are supported:'
  assert.equal(named(`${said} v1.0-rev1.`), '1.0-rev1')
  assert.equal(named(`${said} v1.0-rev1, v1.0-rev2, v1.1-rev0`), '1.1-rev0')
  assert.equal(named(`${said} v1.10-rev0, v1.9-rev9`), '1.10-rev0')
  assert.equal(named(`${said} v1.2-rev10, v1.2-rev9`), '1.2-rev10')
  assert.equal(named(`${said} 2.0-REV0 1.9-rev0`), '2.0-rev0')
  assert.equal(named(`${said} v1.4-rev0, v1.3-rev0`), '1.3-rev0')
  assert.equal(named(said), undefined)
  assert.equal(named('The password of 1.0-rev1 is wrong.'), undefined)
  for (const status of [200, 302, 500, 503]) assert.equal(named(`${said} v1.0-rev1`, status), undefined)
})

test('a version that was kept and is none becomes no field', async () => {
  const { products } = await import('../src/dialects/index.ts')
  const dialect = products.find(({ name }) => name === product)?.dialect(unset)
  for (const odd of ['', '1.4', 'v1.4-rev0', '1.4-rev0\r\nx: y', '1.4-rev0\n']) {
    assert.deepEqual(dialect?.inVersion?.(odd).defaultFields, { 'x-api-version': '1.4-rev0' })
  }
})

test('apiVersion is a version, or one with force; anything else is told where it stands', async t => {
  const read = async (apiVersion: string) => {
    const folder = temporaryFolder(t)
    const entry = `product: google-cloud\n    url: https://a.example\n    credentials: { username: a, password: 'b c d e' }`
    folder.write('appliances.yaml', `appliances:\n  one:\n    ${entry}\n    apiVersion: ${apiVersion}\n`)
    return (await loadConfiguration({}, {}, folder.path)).appliances[0]?.options.apiVersion
  }
  assert.equal(await read('1.3-rev0'), '1.3-rev0')
  assert.deepEqual(await read('{ value: 1.3-rev0, force: true }'), { value: '1.3-rev0', force: true })
  for (const wrong of ['{ force: true }', '{ value: v1 }', '{ value: 1.3-rev0, force: yes please }', '1.3']) {
    await assert.rejects(read(wrong), /6:\d+.*apiVersion/s, wrong)
  }
})
