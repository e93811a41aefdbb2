import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { simulatedProducts, simulatorRoot } from '../src/simulator/index.ts'
import { call, get } from './caller.ts'
import { type Context, eventually, startBox } from './rig.ts'

async function start(t: Context, product: (typeof simulatedProducts)[number] = 'azure') {
  const box = await startBox(t, { product })
  await eventually('ready', async () => (await get(box.url, '/-/readyz')).status === 200)
  return { ...box, root: `/box${simulatorRoot[product]}` }
}

for (const product of simulatedProducts) {
  test(`when ${product} rejects a token, one renewal serves fifty callers and none of them sees it`, async t => {
    const { simulator, url, root } = await start(t, product)
    simulator.revoke('access')
    const replies = await Promise.all(Array.from({ length: 50 }, () => get(url, `${root}/status/200`)))
    assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200])
    assert.deepEqual([simulator.counts.refreshes, simulator.counts.signIns], [1, 1])
  })

  test(`when ${product} has forgotten the whole session, one sign-in serves all callers`, async t => {
    const { simulator, url, root } = await start(t, product)
    simulator.revoke('all')
    const replies = await Promise.all(Array.from({ length: 50 }, () => get(url, `${root}/status/200`)))
    assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200])
    assert.deepEqual([simulator.counts.refusedRefreshes, simulator.counts.signIns], [1, 2])
  })
}

test('a request with a small body is sent again with the new token, and takes effect once', async t => {
  const { simulator, url, root } = await start(t)
  simulator.revoke('access')
  const body = randomBytes(60_000)
  const fields = { 'content-length': body.length }
  const reply = await call(url, { method: 'POST', path: `${root}/effects?id=1`, fields, body })
  assert.equal(reply.status, 201)
  assert.deepEqual([simulator.counts.effects, simulator.counts.duplicateEffects], [1, 0])
})

test('a rejected upload that was streamed is passed on as 401 with a note, and the next one works', async t => {
  const { simulator, url, root } = await start(t)
  simulator.revoke('access')
  const body = randomBytes(300_000)
  const upload = { method: 'POST', path: `${root}/uploads`, fields: { 'content-length': body.length }, body }
  const first = await call(url, upload)
  assert.equal(first.status, 401)
  assert.equal(first.fields['www-authenticate'], undefined)
  assert.match(String(first.fields['proxy-status']), /received-status=401/)
  assert.equal((await call(url, upload)).status, 200)
  assert.deepEqual([simulator.counts.refreshes, simulator.counts.uploads], [1, 1])
})

test('an appliance that rejects every token gets one renewal, and its 401 goes to the caller', async t => {
  const { simulator, url, root } = await start(t)
  simulator.misbehave({ where: 'resources', answer: 401 })
  const replies = await Promise.all(Array.from({ length: 20 }, () => get(url, `${root}/status/200`)))
  for (const { status, fields } of replies) assert.deepEqual([status, fields['www-authenticate']], [401, undefined])
  await get(url, `${root}/status/200`)
  assert.deepEqual([simulator.counts.refreshes, simulator.counts.signIns], [1, 1])
})

test('403 and 429 and 5xx of a resource renew nothing', async t => {
  const { simulator, url, root } = await start(t)
  for (const answer of [403, 429, 500, 503] as const) {
    simulator.misbehave({ where: 'resources', answer, times: 1 })
    assert.equal((await get(url, `${root}/status/200`)).status, answer)
  }
  assert.equal(simulator.counts.tokenRequests, 1)
})

test('a rejected token whose renewal is refused for good leaves the caller the 401 of the appliance', async t => {
  const { simulator, url, root } = await start(t)
  simulator.setPassword('changed meanwhile')
  simulator.revoke('all')
  const reply = await get(url, `${root}/status/200`)
  assert.ok(reply.status === 401 || reply.status === 502, String(reply.status))
  await get(url, `${root}/status/200`)
  assert.deepEqual([simulator.counts.refusedSignIns, simulator.counts.refusedRefreshes], [1, 1])
})
