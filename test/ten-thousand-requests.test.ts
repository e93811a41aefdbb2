import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pool } from 'undici'
import { simulatorRoot } from '../src/simulator/index.ts'
import { startBox } from './rig.ts'

const REQUESTS = 10_000
const CALLERS = 64
const TOKEN_LIFE = 2
/** Milliseconds: three token lives and a little. */
const LEAST_TIME = 6600

/** The product whose sessions hold the most: tokens, and cookies that every renewal replaces. */
const product = 'microsoft365'

test('ten thousand requests by 64 callers, while tokens live 2 s, get nothing but 200 from one sign-in', async t => {
  const { simulator, url } = await startBox(t, { product, tokenLife: TOKEN_LIFE })
  const pool = new Pool(url, { connections: CALLERS })
  t.after(() => pool.destroy())
  const path = `/box${simulatorRoot[product]}/status/200`
  const statuses = new Map<number, number>()
  const began = performance.now()
  let sent = 0
  const caller = async () => {
    while (sent < REQUESTS) {
      sent += 1
      // Spread over at least three token lives, however fast the machine is.
      const due = began + (sent / REQUESTS) * LEAST_TIME
      const early = due - performance.now()
      if (early > 5) await new Promise(resolve => setTimeout(resolve, early))
      const { statusCode, body } = await pool.request({ method: 'GET', path })
      await body.dump()
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
  const took = performance.now() - began
  t.diagnostic(`${Math.round(took)} ms, ${simulator.counts.refreshes} renewals`)
  assert.deepEqual([...statuses], [[200, REQUESTS]])
  assert.ok(took >= LEAST_TIME * 0.95 && took < 60_000, `${took} ms`)
  const { signIns, refusedSignIns, refreshes, refusedRefreshes, unauthorized, requests, aborted } = simulator.counts
  assert.deepEqual(
    // On a starved machine a token can die on its way; such a request is sent again, and its caller sees none of it.
    { signIns, refusedSignIns, refusedRefreshes, served: requests - unauthorized, aborted },
    { signIns: 1, refusedSignIns: 0, refusedRefreshes: 0, served: REQUESTS, aborted: 0 },
  )
  assert.ok(refreshes >= 3, `${refreshes} renewals`)
  assert.equal(simulator.counts.tokenRequests, 1 + refreshes)
})
