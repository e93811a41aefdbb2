import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SimulatedProduct, simulatedProducts, simulatorRoot } from '../src/simulator/index.ts'
import { call, get } from './caller.ts'
import { assertPlaceholders, live, signIn, tokenPaths, unheard } from './emulated.ts'
import { startBox } from './rig.ts'

const signOuts: Record<SimulatedProduct, readonly (readonly [method: string, path: string, status: number])[]> = {
  azure: [
    ['DELETE', '/api/oauth2/token', 204],
    ['DELETE', '/API/oauth2//Token/?api-version=8', 204],
  ],
  microsoft365: [
    ['POST', '/v7/token/logout', 200],
    ['POST', '/v7/Token/Logout', 200],
    ['POST', '/v7/Logout', 200],
    ['POST', '/v8/token/logout', 204],
    ['POST', '/V8/Token//logout/', 204],
    ['POST', '/v10/token/logout', 204],
  ],
  'google-cloud': [
    ['DELETE', '/api/v1/token', 204],
    ['DELETE', '/api/v1/token/', 204],
    ['DELETE', '/api/oauth2/token', 204],
  ],
}

for (const product of simulatedProducts) {
  const root = `/box${simulatorRoot[product]}`

  test(`a sign-out at ${product} has the product's path, verb and status, and never goes upstream`, async t => {
    const { url, simulator } = await startBox(t, { product })
    await live(url)
    for (const [method, path, status] of signOuts[product]) {
      for (const fields of [
        {},
        { authorization: 'Bearer null' },
        { 'content-type': 'application/json' },
        { 'content-type': 'application/json', 'content-length': '0', authorization: 'Bearer expired' },
        { connection: 'close' },
      ]) {
        const reply = await unheard(simulator, () => call(url, { method, path: `/box${path}`, fields }))
        assert.deepEqual([reply.status, reply.text], [status, ''], `${method} ${path}`)
      }
    }
    assert.equal((await get(url, `${root}/status/200`)).status, 200)
    assert.equal(simulator.counts.signOuts, 0)
  })

  test(`one tool signs out of ${product}, and another goes on, and so does the first`, async t => {
    const { url, simulator } = await startBox(t, { product })
    await live(url)
    const [one, other] = await Promise.all([1, 2].map(() => signIn(url, { path: tokenPaths[product] })))
    assert.ok(one && other)
    const bearer = (reply: typeof one) => ({ authorization: `Bearer ${reply.json.get('access_token')}` })
    const read = async (reply: typeof one) => (await get(url, `${root}/status/200`, bearer(reply))).status
    const [[method, path, status] = assert.fail()] = signOuts[product]
    assert.deepEqual(await Promise.all([read(one), read(other)]), [200, 200])
    const out = await call(url, { method, path: `/box${path}`, fields: bearer(one) })
    assert.equal(out.status, status)
    assert.deepEqual(await Promise.all([read(one), read(other)]), [200, 200])
    assertPlaceholders(await signIn(url, { path: tokenPaths[product] }))
    const { tokenRequests, signOuts: ended, unauthorized } = simulator.counts
    assert.deepEqual([tokenRequests, ended, unauthorized], [1, 0, 0])
  })

  test(`a sign-out at ${product} is answered without a session too`, async t => {
    const { url, simulator } = await startBox(t, { product, password: 'another password' })
    const [[method, path, status] = assert.fail()] = signOuts[product]
    const reply = await call(url, { method, path: `/box${path}` })
    assert.equal(reply.status, status)
    assert.equal(simulator.counts.signOuts, 0)
  })

  test(`what only looks like a sign-out at ${product} is kept back`, async t => {
    const { url, simulator } = await startBox(t, { product })
    await live(url)
    for (const [method, path] of [
      ['GET', '/v8/token/logout'],
      ['DELETE', '/v8/token/logout'],
      ['POST', '/api/revoke'],
      ['DELETE', '/token'],
    ] as const) {
      const { status, json } = await unheard(simulator, () => call(url, { method, path: `/box${path}` }))
      assert.deepEqual([status, json.get('code')], [403, 'CREDENTIALS_WITHHELD'], `${method} ${path}`)
    }
  })
}
