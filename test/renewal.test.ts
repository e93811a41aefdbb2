import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { systemClock } from '../src/session/clock.ts'
import { backoffDelay, renewalDelay } from '../src/session/schedule.ts'
import { simulatedProducts } from '../src/simulator/index.ts'
import { call, get, statusOf } from './caller.ts'
import { applianceAt, eventually, simulate, startProxy } from './rig.ts'
import { granted, grantsOf, type Script, startScripted } from './scripted-appliance.ts'

const steady = { clock: { ...systemClock, random: () => 0.1 } }

async function start(t: Parameters<typeof startProxy>[0], script: Script, parts = steady) {
  const scripted = await startScripted(t, script)
  const proxy = await startProxy(t, [applianceAt(scripted, 'azure')], parts)
  const asked = (times: number) =>
    eventually(`${times} token requests`, () => scripted.tokenRequests.length >= times, 20_000)
  /** A person's word to renew now; there must be a session already. */
  const renew = async () => {
    await eventually('live', async () => (await get(proxy.url, '/-/readyz')).status === 200)
    return call(proxy.url, { method: 'POST', path: '/-/appliances/box/sign-in' })
  }
  const gap = (nth: number) => (scripted.tokenRequests[nth]?.at ?? 0) - (scripted.tokenRequests[nth - 1]?.at ?? 0)
  return {
    ...proxy,
    ...scripted,
    proxyUrl: proxy.url,
    asked,
    renew,
    gap,
    grants: () => grantsOf(scripted.tokenRequests),
  }
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('renewal', { concurrency: 6 }, () => {
  test('renewal is planned for 75 % of the life, give or take 5 %', () => {
    const least = renewalDelay(1000, 0)
    const most = renewalDelay(1000, 1 - Number.EPSILON)
    assert.ok(Math.abs(least - 700) < 1 && Math.abs(most - 800) < 1, `${least} to ${most}`)
    assert.equal(Math.round(renewalDelay(1000, 0.5)), 750)
  })

  test('the pause after a failure never falls below what Retry-After asks for, and ends at a minute', () => {
    for (const random of [0, 0.5, 0.999]) {
      assert.ok(backoffDelay(1, random, 5000) >= 5000)
      assert.ok(backoffDelay(1, random) >= 100 && backoffDelay(1, random) <= 1000)
      assert.ok(backoffDelay(1000, random) <= 60_000)
    }
  })

  test('a session is renewed in the background at about 75 % of its life, by refresh only', async t => {
    const { asked, gap, grants } = await start(t, { token: (_, nth) => granted(nth, 4) }, { clock: systemClock })
    await asked(3)
    for (const nth of [1, 2]) assert.ok(gap(nth) > 2000 && gap(nth) < 3990, `renewal ${nth} after ${gap(nth)} ms`)
    assert.deepEqual(grants().slice(0, 3), ['password', 'refresh_token', 'refresh_token'])
  })

  test('the life of a session counts from the moment its grant was sent, however long the answer took', async t => {
    let arrived = 0
    const { events } = await start(t, {
      async token(_, nth) {
        arrived = Date.now()
        await new Promise(resolve => setTimeout(resolve, 2000))
        return granted(nth, 20)
      },
    })
    await eventually('granted', () => events.length > 0)
    const event = events[0]?.event
    assert.equal(event?.type, 'granted')
    // Chance is set to 0.1, which puts the renewal at 71 % of the life.
    const share = event?.type === 'granted' ? (event.renewsAt - arrived) / event.life : 1
    assert.ok(share < 0.72, `renewed ${share} of the life after the request arrived`)
  })

  test('requests go on with the old token, without waiting, while the new one is on its way', async t => {
    let answer = () => {}
    const answered = new Promise<void>(resolve => {
      answer = resolve
    })
    const { proxyUrl, requests, renew, asked } = await start(t, {
      async token(_, nth) {
        if (nth === 2) await answered
        return granted(nth)
      },
    })
    const renewed = renew()
    await asked(2)
    const replies = await Promise.all(Array.from({ length: 20 }, () => get(proxyUrl, '/box/x')))
    assert.equal((await statusOf(proxyUrl)).get('state'), 'renewing')
    assert.ok(replies.every(({ status }) => status === 200))
    assert.deepEqual([...new Set(requests.map(({ fields }) => fields.authorization))], ['Bearer access-1-token'])
    answer()
    assert.equal((await renewed).json.get('state'), 'live')
    await get(proxyUrl, '/box/x')
    assert.equal(requests.at(-1)?.fields.authorization, 'Bearer access-2-token')
  })

  test('each renewal uses the refresh token of the one before', async t => {
    const { asked, tokenRequests } = await start(t, { token: (_, nth) => granted(nth, 1) })
    await asked(3)
    assert.deepEqual(
      tokenRequests.slice(1, 3).map(({ form }) => form.get('refresh_token')),
      ['refresh-1-token', 'refresh-2-token'],
    )
  })

  test('a refresh answer without a refresh token keeps the old one', async t => {
    const { asked, tokenRequests } = await start(t, {
      token: (_, nth) => (nth === 1 ? granted(1, 1) : { body: { access_token: `access-${nth}`, expires_in: 1 } }),
    })
    await asked(4)
    assert.deepEqual(
      tokenRequests.slice(1, 4).map(({ form }) => form.get('refresh_token')),
      ['refresh-1-token', 'refresh-1-token', 'refresh-1-token'],
    )
  })

  test('a session that never had a refresh token is renewed with the password', async t => {
    const { asked, grants } = await start(t, {
      token: (_, nth) => ({ body: { access_token: `a-${nth}`, expires_in: 1 } }),
    })
    await asked(3)
    assert.deepEqual(grants().slice(0, 3), ['password', 'password', 'password'])
  })

  test('a refused refresh token falls back to the password once, and the session lives on', async t => {
    const { proxyUrl, asked, grants } = await start(t, {
      token: (_, nth) =>
        nth === 2 ? { status: 400, body: { error: 'invalid_grant' } } : granted(nth, nth === 1 ? 1 : 60),
    })
    await asked(3)
    await eventually('live', async () => (await statusOf(proxyUrl)).get('grant') === 'password')
    assert.equal((await get(proxyUrl, '/box/x')).status, 200)
    assert.deepEqual(grants(), ['password', 'refresh_token', 'password'])
  })

  test('a password that is refused after the refresh token ends all attempts', async t => {
    const { proxyUrl, asked, grants } = await start(t, {
      token: (_, nth) => (nth === 1 ? granted(nth, 1) : { status: 400, body: { error: 'invalid_grant' } }),
    })
    await asked(3)
    await eventually('refused', async () => (await statusOf(proxyUrl)).get('state') === 'refused')
    const replies = await Promise.all(Array.from({ length: 20 }, () => get(proxyUrl, '/box/x')))
    assert.deepEqual([...new Set(replies.map(({ json }) => json.get('code')))], ['SIGN_IN_REFUSED'])
    await new Promise(resolve => setTimeout(resolve, 1000))
    assert.deepEqual(grants(), ['password', 'refresh_token', 'password'])
  })

  test('a refresh token that was refused is not sent again, though the password meets a busy appliance', async t => {
    const { asked, grants } = await start(t, {
      token(_, nth) {
        if (nth === 2) return { status: 400, body: { error: 'invalid_grant' } }
        if (nth === 3 || nth === 4) return { status: 503 }
        return granted(nth, nth === 1 ? 1 : 60)
      },
    })
    await asked(5)
    assert.deepEqual(grants(), ['password', 'refresh_token', 'password', 'password', 'password'])
  })

  test('Retry-After on a renewal is honoured while the old token serves on', async t => {
    const { proxyUrl, renew, asked, gap, grants } = await start(t, {
      token: (_, nth) => (nth === 2 ? { status: 429, fields: { 'retry-after': '1' } } : granted(nth)),
    })
    assert.equal((await renew()).json.get('code'), 'APPLIANCE_BUSY')
    assert.equal((await get(proxyUrl, '/box/x')).status, 200)
    await asked(3)
    assert.ok(gap(2) >= 900, `${gap(2)} ms`)
    assert.deepEqual(grants(), ['password', 'refresh_token', 'refresh_token'])
  })

  test('the redactor knows the secrets in use, and forgets those of the past, so that it does not grow', async t => {
    const { renew, redactor } = await start(t, { token: (_, nth) => granted(nth) })
    for (let i = 0; i < 4; i += 1) assert.equal((await renew()).status, 200)
    for (const current of ['access-5-token', 'refresh-5-token']) assert.equal(redactor.clean(current), '[redacted]')
    for (const past of ['access-1-token', 'refresh-1-token']) assert.equal(redactor.clean(past), past)
  })

  test('the redactor keeps a refresh token that the session goes on with', async t => {
    const { renew, redactor } = await start(t, {
      token: (_, nth) => (nth === 1 ? granted(1) : { body: { access_token: `access-${nth}-token`, expires_in: 60 } }),
    })
    for (let i = 0; i < 2; i += 1) assert.equal((await renew()).status, 200)
    for (const current of ['access-3-token', 'refresh-1-token']) assert.equal(redactor.clean(current), '[redacted]')
  })

  test('an absurdly long life in an answer does no harm', async t => {
    for (const life of [9e15, 1e300]) {
      const { proxyUrl, events } = await start(t, { token: (_, nth) => granted(nth, life) })
      await eventually('signed in', () => events.length > 0)
      assert.equal((await get(proxyUrl, '/box/x')).status, 200)
      assert.equal((await get(proxyUrl, '/-/status')).status, 200)
      assert.equal((await get(proxyUrl, '/-/readyz')).status, 200)
    }
  })

  for (const product of simulatedProducts) {
    test(`trouble on the way to a renewal of ${product} never makes the password be sent`, async t => {
      const answers = [429, 500, 503, 'garbage', 'html', 'reset', 'cut'] as const
      await Promise.all(
        answers.map(async answer => {
          const simulator = await simulate(t, { product, tokenLife: 1 })
          const { url } = await startProxy(t, [applianceAt(simulator, product)], steady)
          await eventually('live', async () => (await get(url, '/-/readyz')).status === 200)
          simulator.misbehave({ where: 'token', answer, times: 3 })
          const before = simulator.counts.refreshes
          await eventually(`a renewal after ${answer}`, () => simulator.counts.refreshes > before)
          await eventually('live again', async () => (await get(url, '/-/readyz')).status === 200)
          assert.deepEqual([simulator.counts.signIns, simulator.counts.refusedRefreshes], [1, 0], String(answer))
        }),
      )
    })
  }
})
