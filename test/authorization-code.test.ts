import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { get, giveCode, statusOf } from './caller.ts'
import { applianceAt, type Context, eventually, secret, simulate, startProxy } from './rig.ts'

/** A google-cloud appliance that the proxy may enter with an authorization code only. */
async function start(t: Context, { tokenLife = 900, code = '' } = {}) {
  const simulator = await simulate(t, { product: 'google-cloud', tokenLife })
  const credentials = { type: 'authorization_code', code: secret(code || simulator.issueAuthorizationCode()) } as const
  const proxy = await startProxy(t, [applianceAt(simulator, 'google-cloud', { credentials })])
  return { simulator, ...proxy }
}

const state = async (url: string) => (await statusOf(url)).get('state')

// Nearly all of this is waiting, so the tests wait side by side.
describe('authorization codes', { concurrency: 6 }, () => {
  test('an authorization code with + / = in it is spent once, and the session lives on its refresh token', async t => {
    const { simulator, url } = await start(t, { tokenLife: 1 })
    await eventually('three renewals', () => simulator.counts.refreshes >= 3)
    assert.equal((await get(url, '/-/readyz')).status, 200)
    assert.deepEqual(
      [simulator.counts.authorizationCodes, simulator.counts.tokenRequests - simulator.counts.refreshes],
      [1, 1],
    )
    assert.equal(simulator.counts.signIns, 0)
  })

  test('when the refresh token dies the session waits for a new authorization code, which completes it', async t => {
    const { simulator, url } = await start(t, { tokenLife: 1 })
    await eventually('live', async () => (await get(url, '/-/readyz')).status === 200)
    simulator.revoke('all')
    await eventually('waiting', async () => (await state(url)) === 'waiting')
    const asked = simulator.counts.tokenRequests
    const { refreshes, refusedRefreshes } = simulator.counts
    assert.equal(asked, 1 + refreshes + refusedRefreshes, 'the code was sent once')
    const replies = await Promise.all(Array.from({ length: 20 }, () => get(url, '/box/x')))
    for (const { status, json } of replies) assert.deepEqual([status, json.get('code')], [503, 'CODE_WANTED'])
    await new Promise(resolve => setTimeout(resolve, 1000))
    assert.equal(simulator.counts.tokenRequests, asked, 'nothing is sent until the code comes')

    const reply = await giveCode(url, simulator.issueAuthorizationCode())
    assert.deepEqual([reply.status, reply.json.get('grant')], [200, 'authorization_code'])
    const before = simulator.counts.refreshes
    await eventually('renewed', () => simulator.counts.refreshes > before)
    assert.equal(simulator.counts.authorizationCodes, 2)
  })

  test('a refused authorization code is not sent again by itself, whoever knocks', async t => {
    const { simulator, url } = await start(t, { code: 'AAEAAJO1R+/=' })
    await eventually('waiting', async () => (await state(url)) === 'waiting')
    const replies = await Promise.all(Array.from({ length: 20 }, () => get(url, '/box/x')))
    for (const { status, json } of replies) assert.deepEqual([status, json.get('code')], [503, 'CODE_WANTED'])
    await new Promise(resolve => setTimeout(resolve, 1200))
    assert.equal(simulator.counts.tokenRequests, 1)
  })

  test('a wrong new authorization code leaves the session waiting and says so, and the right one is then taken', async t => {
    const { simulator, url } = await start(t, { code: 'AAEAAJO1R+/=' })
    await eventually('waiting', async () => (await state(url)) === 'waiting')
    const refused = await giveCode(url, 'AAEAAwrong+/=')
    assert.deepEqual([refused.status, refused.json.get('code')], [422, 'CODE_REFUSED'])
    assert.doesNotMatch(refused.text, /AAEAAwrong/)
    assert.equal(await state(url), 'waiting')
    assert.equal((await giveCode(url, simulator.issueAuthorizationCode())).status, 200)
  })

  test('trouble on the way to a renewal never makes the authorization code be sent again', async t => {
    const { simulator, url } = await start(t, { tokenLife: 1 })
    await eventually('live', async () => (await get(url, '/-/readyz')).status === 200)
    simulator.misbehave({ where: 'token', answer: 503, times: 2 })
    const before = simulator.counts.refreshes
    await eventually('renewed', () => simulator.counts.refreshes > before)
    assert.equal(simulator.counts.authorizationCodes, 1)
  })
})
