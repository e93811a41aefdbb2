import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulatorRoot } from '../src/simulator/index.ts'
import { get, open, statusOf } from './caller.ts'
import { applianceAt, type Context, eventually, simulate, startProxy } from './rig.ts'

const path = `${simulatorRoot.azure}/status/200`

async function startTwo(t: Context) {
  const [good, bad] = await Promise.all([simulate(t, { product: 'azure' }), simulate(t, { product: 'azure' })])
  const named = (simulator: typeof good, name: string) => ({ ...applianceAt(simulator, 'azure'), name })
  const proxy = await startProxy(t, [named(good, 'good'), named(bad, 'bad')])
  await eventually('ready', async () => (await get(proxy.url, '/-/readyz')).status === 200)
  return { good, bad, ...proxy }
}

/** Two hundred requests to the good appliance, all of which must be served, and quickly. */
async function assertServed(url: string): Promise<void> {
  const began = performance.now()
  for (let i = 0; i < 10; i += 1) {
    const replies = await Promise.all(Array.from({ length: 20 }, () => get(url, `/good${path}`)))
    assert.ok(replies.every(({ status }) => status === 200))
  }
  const took = performance.now() - began
  assert.ok(took < 8000, `${took} ms`)
}

test('an appliance that never answers holds up no request to another, however many wait for it', async t => {
  const { bad, url } = await startTwo(t)
  bad.misbehave({ where: 'resources', answer: 'hang' })
  const leaving = new AbortController()
  const waiting = Array.from({ length: 100 }, () => fetch(`${url}/bad${path}`, { signal: leaving.signal }))
  const ended = Promise.allSettled(waiting)
  await eventually('all have arrived', () => bad.counts.requests === 100)
  await assertServed(url)
  leaving.abort()
  await ended
})

test('an appliance whose download nobody reads holds up no request to another', async t => {
  const { url } = await startTwo(t)
  const download = await open(url, { path: `/bad${simulatorRoot.azure}/downloads/large?bytes=1000000000` })
  t.after(() => download.destroy())
  download.pause()
  await assertServed(url)
})

test('an appliance that is gone, or hangs at the sign-in, keeps no other from its session', async t => {
  const [good, hanging, gone] = await Promise.all(
    ['good', 'hanging', 'gone'].map(() => simulate(t, { product: 'azure', tokenLife: 1 })),
  )
  assert.ok(good && hanging && gone)
  hanging.misbehave({ where: 'token', answer: 'hang' })
  await gone.close()
  const { url } = await startProxy(t, [
    { ...applianceAt(hanging, 'azure'), name: 'hanging' },
    { ...applianceAt(gone, 'azure'), name: 'gone' },
    { ...applianceAt(good, 'azure'), name: 'good' },
  ])
  await eventually('good is live', async () => (await statusOf(url, 'good')).get('state') === 'live', 5000)
  await assertServed(url)
  await eventually('good is renewed', () => good.counts.refreshes >= 2)
  const ready = await get(url, '/-/readyz')
  assert.deepEqual([ready.status, ready.json.get('missing')], [503, ['hanging', 'gone']])
})

test('a token that one appliance rejects renews no session but its own', async t => {
  const { good, bad, url } = await startTwo(t)
  bad.revoke('access')
  assert.equal((await get(url, `/bad${path}`)).status, 200)
  assert.deepEqual([good.counts.refreshes, bad.counts.refreshes], [0, 1])
})
