import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { simulatorRoot } from '../src/simulator/index.ts'
import { call, get } from './caller.ts'
import { applianceAt, eventually, simulate, startBox, startProxy } from './rig.ts'
import { granted, type Script, startScripted } from './scripted-appliance.ts'

const product = 'microsoft365'
const root = `/box${simulatorRoot[product]}`
const cookies = (...set: string[]) => ({ 'set-cookie': set })

async function start(t: Parameters<typeof startProxy>[0], script: Script, antiforgery: unknown = 'cookies') {
  const scripted = await startScripted(t, script)
  const options = { apiVersion: 'v8', antiforgery }
  const { url, server } = await startProxy(t, [applianceAt(scripted, product, { options })])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const renew = async () => {
    const reply = await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
    assert.equal(reply.status, 200, reply.text)
  }
  return { ...scripted, proxyUrl: url, server, renew }
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('antiforgery cookies', { concurrency: 6 }, () => {
  test('antiforgery cookies of any name go with every request and every renewal, and no caller sees one', async t => {
    const { simulator, url } = await startBox(t, { product, tokenLife: 1 })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const end = Date.now() + 3000
    while (Date.now() < end) {
      const reply = await get(url, `${root}/status/200`)
      assert.equal(reply.status, 200)
      assert.equal(reply.fields['set-cookie'], undefined)
    }
    assert.ok(simulator.counts.refreshes >= 2, String(simulator.counts.refreshes))
    assert.deepEqual(
      [simulator.counts.signIns, simulator.counts.unauthorized, simulator.counts.refusedRefreshes],
      [1, 0, 0],
    )
  })

  test('cookies that the appliance sets anew on every answer are used from then on, and shown to no caller', async t => {
    const { simulator, url } = await startBox(t, { product, rotateCookies: true })
    const end = Date.now() + 3600
    // Longer than the appliance still takes a cookie that it has replaced.
    while (Date.now() < end) {
      const reply = await get(url, `${root}/status/200`)
      assert.deepEqual([reply.status, reply.fields['set-cookie']], [200, undefined])
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    assert.deepEqual([simulator.counts.signIns, simulator.counts.refreshes, simulator.counts.unauthorized], [1, 0, 0])
  })

  test('a cookie set anew replaces the old one on requests, on the renewal and on the sign-out', async t => {
    const { proxyUrl, requests, tokenRequests, server, renew } = await start(t, {
      token: (_, nth) => ({
        ...granted(nth),
        fields: nth === 1 ? cookies('a=a1; path=/; secure', 'b=b1; path=/; secure; HttpOnly') : cookies('b=b3; path=/'),
      }),
      resource: ({ url }, response) => {
        if (url.endsWith('/set')) response.setHeader('set-cookie', 'b=b2; path=/')
        response.end('{}')
      },
    })
    await get(proxyUrl, '/box/v8/set')
    await get(proxyUrl, '/box/v8/next')
    await renew()
    await get(proxyUrl, '/box/v8/last')
    await server.close(500)
    assert.equal(tokenRequests[0]?.fields.cookie, undefined)
    assert.deepEqual(
      requests.slice(0, 2).map(({ fields }) => fields.cookie),
      ['a=a1; b=b1', 'a=a1; b=b2'],
    )
    assert.equal(tokenRequests[1]?.fields.cookie, 'a=a1; b=b2')
    assert.deepEqual([requests.at(-1)?.url, requests.at(-1)?.fields.cookie], ['/v8/token/logout', 'a=a1; b=b3'])
  })

  test('a sign-in from scratch begins without the cookies of the session before', async t => {
    const { proxyUrl, requests, tokenRequests, renew } = await start(t, {
      token: (_, nth) =>
        nth === 2
          ? { status: 400, body: { error: 'invalid_grant' } }
          : { ...granted(nth), fields: cookies(`c${nth}=v; path=/`) },
    })
    await renew()
    await get(proxyUrl, '/box/v8/x')
    assert.equal(requests.at(-1)?.fields.cookie, 'c3=v')
    assert.deepEqual(
      tokenRequests.map(({ fields }) => fields.cookie),
      [undefined, 'c1=v', undefined],
    )
  })

  test("a caller's own cookies never reach the appliance, nor mix with the session's", async t => {
    const { proxyUrl, requests } = await start(t, {
      token: (_, nth) => ({ ...granted(nth), fields: cookies('a=a1; path=/') }),
    })
    await get(proxyUrl, '/box/v8/x', { cookie: 'a=mine; other=1' })
    assert.equal(requests[0]?.fields.cookie, 'a=a1')
  })

  test('an echo copies the value of its cookie into a field, which a caller can neither set nor imitate', async t => {
    const field = 'X-Forgery-Token'
    const { proxyUrl, requests, tokenRequests, renew } = await start(
      t,
      { token: (_, nth) => ({ ...granted(nth), fields: cookies(`a=value-${nth}%2B; path=/`) }) },
      { echo: [{ cookie: 'a', field }] },
    )
    await get(proxyUrl, '/box/v8/x', { [field]: 'mine', X_Forgery_Token: 'mine too' })
    const { fields, raw } = requests[0] ?? assert.fail('nothing was forwarded')
    assert.equal(fields['x-forgery-token'], 'value-1%2B')
    assert.ok(!raw.includes('mine'), 'the same name')
    await renew()
    assert.equal(tokenRequests[1]?.fields['x-forgery-token'], 'value-1%2B')
    assert.ok(!raw.includes('mine too'), 'the name written with underscores')
  })

  test('an appliance that wants an echo is served with one', async t => {
    const simulator = await simulate(t, { product, antiforgeryField: 'X-XSRF-Token', tokenLife: 1 })
    const echo = [{ cookie: simulator.cookieNames[1], field: 'X-XSRF-Token' }]
    const options = { apiVersion: 'v8', antiforgery: { echo } }
    const { url } = await startProxy(t, [applianceAt(simulator, product, { options })])
    await eventually('two renewals', () => simulator.counts.refreshes >= 2)
    assert.equal((await get(url, `${root}/status/200`)).status, 200)
    assert.deepEqual([simulator.counts.signIns, simulator.counts.unauthorized], [1, 0])
  })

  test('with antiforgery disabled the session says so, works without cookies and keeps none', async t => {
    const options = { apiVersion: 'v8', antiforgery: 'disabled' }
    const { simulator, url } = await startBox(t, { product, tokenLife: 1 }, { options })
    await eventually('two renewals', () => simulator.counts.refreshes >= 2)
    const reply = await get(url, `${root}/echo`)
    assert.equal(reply.status, 200)
    assert.doesNotMatch(reply.text.toLowerCase(), /"cookie"/)
    assert.deepEqual([simulator.counts.signIns, simulator.counts.unauthorized], [1, 0])
  })
})
