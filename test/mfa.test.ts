import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import type { SimulatedProduct, SimulatorOptions } from '../src/simulator/index.ts'
import { call, get, giveCode, statusOf } from './caller.ts'
import { type Context, eventually, startBox } from './rig.ts'

const totpSecret = 'JBSWY3DPEHPK3PXP'
const products: readonly SimulatedProduct[] = ['azure', 'google-cloud']

function codeNow(): string {
  return new TOTP({ secret: Secret.fromBase32(totpSecret) }).generate()
}

/** Six digits that are no code of now, nor of a step before or after. */
function wrongCode(): string {
  const totp = new TOTP({ secret: Secret.fromBase32(totpSecret) })
  const near = [-60, -30, 0, 30, 60].map(s => totp.generate({ timestamp: Date.now() + s * 1000 }))
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find(code => !near.includes(code)) ?? '999999'
}

async function startWaiting(t: Context, product: SimulatedProduct, options: Partial<SimulatorOptions> = {}) {
  const box = await startBox(t, { product, totpSecret, ...options })
  await eventually('waiting', async () => (await statusOf(box.url)).get('state') === 'waiting')
  return box
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('multi-factor authentication', { concurrency: 6 }, () => {
  for (const product of products) {
    test(`${product} with MFA waits for a person, tells callers what to do, and sends nothing more by itself`, async t => {
      const { simulator, url } = await startWaiting(t, product)
      await new Promise(resolve => setTimeout(resolve, 1200))
      const replies = await Promise.all(Array.from({ length: 20 }, () => get(url, '/box/x')))
      for (const { status, fields, json } of replies) {
        assert.deepEqual([status, json.get('code'), json.get('source')], [503, 'CODE_WANTED', 'proxy'])
        assert.match(String(json.get('remedy')), /veeam-auth-proxy code box/)
        assert.equal(fields['content-type'], 'application/problem+json')
      }
      const ready = await get(url, '/-/readyz')
      assert.deepEqual([ready.status, ready.json.get('missing')], [503, ['box']])
      assert.deepEqual([simulator.counts.signIns, simulator.counts.tokenRequests], [1, 1])
    })

    test(`the 503 of ${product} waiting for a code says when to try again`, async t => {
      const { url } = await startWaiting(t, product)
      const reply = await get(url, '/box/x')
      assert.equal(reply.status, 503)
      assert.ok(Number(reply.fields['retry-after']) >= 1, 'Retry-After')
    })

    test(`a code given to the proxy completes the sign-in of ${product}, and renewals need no other`, async t => {
      const { simulator, url } = await startWaiting(t, product, { tokenLife: 2 })
      const reply = await giveCode(url, codeNow())
      assert.deepEqual([reply.status, reply.json.get('state'), reply.json.get('grant')], [200, 'live', 'mfa'])
      assert.equal((await get(url, '/-/readyz')).status, 200)
      await eventually('two renewals', () => simulator.counts.refreshes >= 2)
      assert.deepEqual([simulator.counts.signIns, simulator.counts.mfa], [1, 1])
      assert.equal((await statusOf(url)).get('state'), 'live')
    })

    test(`a wrong code leaves ${product} waiting and says so, and the right one is then taken`, async t => {
      const { simulator, url } = await startWaiting(t, product)
      const refused = await giveCode(url, wrongCode())
      assert.deepEqual([refused.status, refused.json.get('code')], [422, 'CODE_REFUSED'])
      const status = await statusOf(url)
      assert.equal(status.get('state'), 'waiting')
      assert.match(JSON.stringify(status.get('lastError')), /CODE_REFUSED/)
      assert.equal((await get(url, '/box/x')).json.get('code'), 'CODE_WANTED')
      assert.equal((await giveCode(url, codeNow())).status, 200)
      assert.deepEqual([simulator.counts.signIns, simulator.counts.refusedCodes, simulator.counts.mfa], [1, 1, 1])
    })

    test(`an expired mfa_token of ${product} starts over with the password once, and the code is still good`, async t => {
      const { simulator, url } = await startWaiting(t, product, { mfaTokenLife: 0.4 })
      await new Promise(resolve => setTimeout(resolve, 500))
      const reply = await giveCode(url, codeNow())
      assert.deepEqual([reply.status, reply.json.get('state')], [200, 'live'])
      assert.deepEqual([simulator.counts.signIns, simulator.counts.mfa], [2, 1])
    })

    test(`an mfa_token of ${product} that expires at once makes no loop: the password is sent once more`, async t => {
      const { simulator, url } = await startWaiting(t, product, { mfaTokenLife: 0 })
      const reply = await giveCode(url, codeNow())
      assert.ok(reply.status >= 400 && reply.status < 600, String(reply.status))
      assert.equal(reply.json.get('source'), 'proxy')
      await new Promise(resolve => setTimeout(resolve, 1200))
      assert.equal(simulator.counts.signIns, 2)
      assert.equal((await statusOf(url)).get('state'), 'waiting')
    })
  }

  test('a code that nobody asked for is refused without a word to the appliance', async t => {
    const { simulator, url } = await startBox(t, { product: 'azure' })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const reply = await giveCode(url, '123456')
    assert.deepEqual([reply.status, reply.json.get('code')], [409, 'CODE_UNWANTED'])
    assert.equal(simulator.counts.tokenRequests, 1)
  })

  test('a code for an appliance that does not exist is a 404 that lists the names', async t => {
    const { url } = await startBox(t, { product: 'azure' })
    const reply = await giveCode(url, '123456', 'nobody')
    assert.deepEqual([reply.status, reply.json.get('code')], [404, 'UNKNOWN_APPLIANCE'])
    assert.match(String(reply.json.get('detail')), /nobody.*box/)
  })

  test('a code in any other shape than {"code": "…"} is a bad request and reaches no appliance', async t => {
    const { simulator, url } = await startWaiting(t, 'azure')
    for (const body of ['', '{}', '{"code":123456}', '{"code":""}', '"123456"', '{"code":', '[]']) {
      const reply = await call(url, {
        method: 'POST',
        path: '/-/appliances/box/code',
        fields: { 'content-type': 'application/json' },
        body,
      })
      assert.deepEqual([reply.status, reply.json.get('code')], [400, 'BAD_REQUEST'], body)
    }
    assert.equal(simulator.counts.tokenRequests, 1)
    assert.equal((await statusOf(url)).get('state'), 'waiting')
  })
})
