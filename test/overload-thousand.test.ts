import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { get } from './caller.ts'
import { applianceAt, eventually, sharedCertificate, startProxy } from './rig.ts'
import { granted, startScripted } from './scripted-appliance.ts'

const APPLIANCES = 1000
/** The first grants take long, so that as many as may be at once are; in milliseconds. */
const SLOW = { grants: 64, latency: 400 }
const MB = 1024 * 1024

test('a thousand appliances in one process are all live within a minute, never more than 16 signing in at once', async t => {
  await sharedCertificate()
  let atOnce = 0
  let most = 0
  const scripted = await startScripted(t, {
    async token(_, nth) {
      atOnce += 1
      most = Math.max(most, atOnce)
      if (nth <= SLOW.grants) await sleep(SLOW.latency)
      atOnce -= 1
      return granted(nth)
    },
    resource: (seen, response) => response.end(JSON.stringify({ as: seen.fields.authorization })),
  })
  const names = Array.from({ length: APPLIANCES }, (_, i) => `box-${i}`)
  const appliances = names.map(name => ({ ...applianceAt(scripted, 'azure'), name }))
  const before = process.memoryUsage.rss()
  const began = performance.now()
  const { url } = await startProxy(t, appliances)
  const first = await get(url, '/box-0/x')
  const toFirst = performance.now() - began
  assert.equal(first.status, 200)
  await eventually('all are live', async () => (await get(url, '/-/readyz')).status === 200, 60_000)
  const took = performance.now() - began
  const more = process.memoryUsage.rss() - before
  t.diagnostic(
    `${APPLIANCES} live after ${Math.round(took)} ms, the first served after ${Math.round(toFirst)} ms; at most ${most} sign-ins at once; ${Math.round(more / MB)} MB more, with the appliances'`,
  )
  assert.equal(scripted.tokenRequests.length, APPLIANCES)
  assert.ok(most <= 16 && most >= 12, `${most} at once`)
  assert.ok(more < 350 * MB, `${Math.round(more / MB)} MB more`)
  const some = names.filter((_, i) => i % 10 === 0)
  const replies = await Promise.all(some.map(name => get(url, `/${name}/x`)))
  const tokens = new Set(replies.map(({ json }) => json.get('as')))
  assert.deepEqual([replies.every(({ status }) => status === 200), tokens.size], [true, some.length])
})
