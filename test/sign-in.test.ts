import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { systemClock } from '../src/session/clock.ts'
import { simulatedProducts, simulatorRoot, startSimulator } from '../src/simulator/index.ts'
import { call, get, type Reply, statusOf } from './caller.ts'
import { applianceAt, eventually, secret, simulate, startBox, startProxy } from './rig.ts'
import { granted, grantsOf, startScripted } from './scripted-appliance.ts'

/** Back-off without luck: a tenth of its bound, always. */
const steady = { clock: { ...systemClock, random: () => 0.1 } }
const wrong = {
  credentials: { type: 'password', username: 'Administrator', password: secret('not-this-one') },
} as const

function signInAgain(url: string): Promise<Reply> {
  return call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
}

function assertProblem(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.text)
  assert.equal(reply.fields['content-type'], 'application/problem+json')
  assert.deepEqual(
    [reply.json.get('code'), reply.json.get('source'), reply.json.get('status')],
    [code, 'proxy', status],
  )
  assert.ok(String(reply.json.get('remedy')).length > 10)
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('sign-in', { concurrency: 6 }, () => {
  for (const product of simulatedProducts) {
    test(`a hundred requests that come before the first sign-in of ${product} share it and are all served`, async t => {
      const { simulator, url } = await startBox(t, { product, latency: 150 })
      const path = `/box${simulatorRoot[product]}/status/200`
      const replies = await Promise.all(Array.from({ length: 100 }, () => get(url, path)))
      assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200])
      assert.deepEqual([simulator.counts.signIns, simulator.counts.tokenRequests], [1, 1])
    })

    test(`fifty callers that knock at ${product} after a refused password get 502 and cause no further attempt`, async t => {
      const { simulator, url } = await startBox(t, { product }, wrong)
      await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
      const replies = await Promise.all(Array.from({ length: 50 }, () => get(url, '/box/x')))
      for (const reply of replies) assertProblem(reply, 502, 'SIGN_IN_REFUSED')
      await new Promise(resolve => setTimeout(resolve, 1500))
      assertProblem(await get(url, '/box/x'), 502, 'SIGN_IN_REFUSED')
      assert.deepEqual([simulator.counts.refusedSignIns, simulator.counts.tokenRequests], [1, 1])
    })

    test(`what goes wrong for a while with the sign-in of ${product} is tried again until there is a session`, async t => {
      for (const answer of [429, 500, 503, 'garbage', 'empty', 'html', 'huge', 'reset', 'cut'] as const) {
        const simulator = await simulate(t, { product })
        simulator.misbehave({ where: 'token', answer, times: 1 })
        const { url, events } = await startProxy(t, [applianceAt(simulator, product)], steady)
        await eventually(`a session after ${answer}`, async () => (await statusOf(url)).get('state') === 'live')
        assert.deepEqual(
          events.map(({ event }) => event.type),
          ['failed', 'granted'],
          String(answer),
        )
        assert.deepEqual([simulator.counts.signIns, simulator.counts.tokenRequests], [1, 2])
      }
    })
  }

  test("a person's word makes one more attempt after a refused password, and it brings the session", async t => {
    const { simulator, url } = await startBox(t, { product: 'azure' }, wrong)
    await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
    simulator.setPassword('not-this-one')
    const reply = await signInAgain(url)
    assert.deepEqual([reply.status, reply.json.get('state')], [200, 'live'])
    assert.equal(simulator.counts.refusedSignIns, 1)
  })

  test('a token path that answers 404 is told as a wrong port or product', async t => {
    const simulator = await simulate(t, { product: 'microsoft365' })
    const { url } = await startProxy(t, [applianceAt(simulator, 'azure')])
    await eventually('told', async () => (await get(url, '/box/x')).json.get('code') === 'SIGN_IN_UNKNOWN')
    const reply = await get(url, '/box/x')
    assertProblem(reply, 502, 'SIGN_IN_UNKNOWN')
    assert.match(String(reply.json.get('remedy')), /port.*product/)
  })

  test('an API version that the appliance does not know is told as such, and not tried again', async t => {
    const options = { apiVersion: '9.9-rev0', shortTermRefresh: false }
    const { simulator, url } = await startBox(t, { product: 'google-cloud' }, { options })
    await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
    assertProblem(await get(url, '/box/x'), 502, 'VERSION_REFUSED')
    assert.equal(simulator.counts.tokenRequests, 1)
  })

  test('an appliance that cannot be reached gives 503 with Retry-After and the reason', async t => {
    const simulator = await startSimulator({ product: 'azure' })
    await simulator.close()
    const { url } = await startProxy(t, [applianceAt(simulator, 'azure')])
    await eventually('tried', async () => (await statusOf(url)).get('lastError') !== null)
    const reply = await get(url, '/box/x')
    assertProblem(reply, 503, 'NOT_SIGNED_IN')
    assert.equal(reply.json.get('reason'), 'APPLIANCE_UNREACHABLE')
    assert.ok(Number(reply.fields['retry-after']) >= 1)
  })

  test('Retry-After of a busy appliance is honoured, and told to callers', async t => {
    const scripted = await startScripted(t, {
      token: (_, nth) => (nth === 1 ? { status: 429, fields: { 'retry-after': '2' } } : granted(nth)),
    })
    const { url } = await startProxy(t, [applianceAt(scripted, 'azure')], steady)
    await eventually('tried', async () => (await statusOf(url)).get('state') === 'backing-off')
    const reply = await get(url, '/box/x')
    assertProblem(reply, 503, 'NOT_SIGNED_IN')
    assert.ok(['1', '2', '3'].includes(reply.fields['retry-after'] ?? ''), reply.fields['retry-after'])
    await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
    const [first, second] = scripted.tokenRequests
    const gap = (second?.at ?? 0) - (first?.at ?? 0)
    assert.ok(gap >= 1990 && gap < 6000, `${gap} ms`)
  })

  test('an appliance that keeps failing is tried again later each time', async t => {
    const scripted = await startScripted(t, { token: (_, nth) => (nth < 5 ? { status: 503 } : granted(nth)) })
    const clock = { ...systemClock, random: () => 0.2 }
    const { url } = await startProxy(t, [applianceAt(scripted, 'azure')], { clock })
    await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
    const gaps = scripted.tokenRequests.slice(1).map(({ at }, i) => at - (scripted.tokenRequests[i]?.at ?? 0))
    assert.equal(gaps.length, 4)
    for (const [i, gap] of gaps.entries()) assert.ok(gap >= 200 * 2 ** i - 5, `gap ${i}: ${gap} ms`)
  })

  test('all appliances are signed in side by side', async t => {
    let asked = 0
    const boxes = [1, 2, 3].map(() =>
      startScripted(t, {
        async token(_, nth) {
          asked += 1
          await eventually('all have been asked', () => asked >= 3, 10_000)
          return granted(nth)
        },
      }),
    )
    const scripted = await Promise.all(boxes)
    const { url } = await startProxy(
      t,
      scripted.map((box, i) => ({ ...applianceAt(box, 'azure'), name: `box${i}` })),
    )
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    assert.deepEqual(
      scripted.map(box => grantsOf(box.tokenRequests)),
      [['password'], ['password'], ['password']],
    )
  })
})
