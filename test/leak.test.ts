import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Secret, TOTP } from 'otpauth'
import { createLog } from '../src/log.ts'
import { Redactor } from '../src/redactor.ts'
import { systemClock } from '../src/session/clock.ts'
import { defaultPassword, type SimulatedProduct, simulatedProducts, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, giveCode, type Reply, statusOf } from './caller.ts'
import { applianceAt, type Context, eventually, type Overrides, secret, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'
import { leaksIn, startTapped } from './tap.ts'

const totpSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
const steady = { clock: { ...systemClock, random: () => 0.1 } }
const credentials = { type: 'password', username: 'Administrator', password: secret(defaultPassword) } as const
const ofCaller = ['Bearer-of-the-caller-4711', 'cookie-of-the-caller-4711', 'query-of-the-caller-4711']

/** Everything the proxy said by itself: its log at level trace, its events, and every answer of its own. */
function listen(proxy: Awaited<ReturnType<typeof startProxy>>) {
  const heard: string[] = []
  const hear = (reply: Reply): Reply => {
    heard.push(JSON.stringify(reply.raw), reply.text)
    return reply
  }
  const pages = async () => {
    for (const path of ['/', '/-/status', '/-/metrics', '/-/readyz', '/-/livez', '/nobody/x', '/box/v8/../..'])
      hear(await get(proxy.url, path))
  }
  const all = () => [...proxy.lines, ...proxy.events.map(event => inspect(event, { depth: 9 })), ...heard].join('\n')
  return { hear, pages, all }
}

async function start(t: Context, product: SimulatedProduct, options: object, overrides: Overrides) {
  const tapped = await startTapped(t, { product, ...options })
  const proxy = await startProxy(t, [applianceAt(tapped, product, { credentials, ...overrides })], steady)
  return { ...tapped, proxy, proxyUrl: proxy.url, ...listen(proxy) }
}

/** Requests, renewals, rejected tokens, appliances that fail in every way, and the end of it all. */
async function live(
  { simulator, proxy, proxyUrl, hear, pages }: Awaited<ReturnType<typeof start>>,
  product: SimulatedProduct,
) {
  const root = `/box${simulatorRoot[product]}`
  const fields = { authorization: ofCaller[0], cookie: `a=${ofCaller[1]}` }
  const path = `${root}/status/200?access_token=${ofCaller[2]}`
  assert.equal((await get(proxyUrl, path, fields)).status, 200)
  await eventually('a renewal', () => simulator.counts.refreshes >= 1)
  await pages()
  for (const answer of ['reset', 'cut', 'garbage'] as const) {
    simulator.misbehave({ where: 'resources', answer, times: 1 })
    await get(proxyUrl, path, fields).then(hear, () => undefined)
  }
  for (const answer of ['reset', 'html', 'garbage', 500, 429] as const) {
    simulator.misbehave({ where: 'token', answer, times: 1 })
    hear(await call(proxyUrl, { method: 'POST', path: '/-/appliances/box/sign-in' }))
  }
  await pages()
  simulator.misbehave(undefined)
  hear(await call(proxyUrl, { method: 'POST', path: '/-/appliances/box/sign-in' }))
  simulator.revoke('all')
  await get(proxyUrl, path, fields).catch(() => undefined)
  simulator.setPassword('changed')
  simulator.revoke('all')
  hear(await call(proxyUrl, { method: 'POST', path: '/-/appliances/box/sign-in' }))
  await pages()
  await proxy.server.close(500)
}

function assertNothing(text: string, secrets: Iterable<string>): void {
  const leaks = leaksIn(text, secrets)
  const first = leaks[0] ?? ''
  const at = text.indexOf(first)
  assert.deepEqual(leaks, [], `leaked: ${text.slice(Math.max(0, at - 200), at + 60)}`)
}

for (const product of simulatedProducts) {
  test(`nothing that the proxy says about ${product} holds a password, token, code or cookie value`, async t => {
    const box = await start(t, product, { tokenLife: 2 }, {})
    await eventually('live', async () => (await get(box.proxyUrl, '/-/readyz')).status === 200)
    await live(box, product)
    // The password, three pairs of tokens; and where there are antiforgery cookies, some of them.
    assert.ok(box.secrets.size >= 7, `the tap has seen ${box.secrets.size} secrets`)
    assert.ok(box.secrets.has(defaultPassword))
    assert.ok(box.proxy.lines.length >= 5, 'nothing was logged')
    assertNothing(box.all(), [...box.secrets, ...ofCaller])
  })
}

for (const product of ['azure', 'google-cloud'] as const) {
  test(`nothing that the proxy says about ${product} with MFA holds a code, an mfa_token or the TOTP secret`, async t => {
    const person = await start(t, product, { totpSecret }, {})
    await eventually('waiting', async () => (await statusOf(person.proxyUrl)).get('state') === 'waiting')
    person.hear(await get(person.proxyUrl, '/box/x'))
    const totp = new TOTP({ secret: Secret.fromBase32(totpSecret) })
    assert.equal(person.hear(await giveCode(person.proxyUrl, '000000')).status, 422)
    await person.pages()
    person.hear(await giveCode(person.proxyUrl, 'code with a very long body'))
    person.hear(await giveCode(person.proxyUrl, totp.generate()))
    await person.pages()
    const alone = await start(t, product, { totpSecret }, { credentials: { ...credentials, totp: secret(totpSecret) } })
    await eventually('live', async () => (await get(alone.proxyUrl, '/-/readyz')).status === 200)
    await alone.pages()
    for (const box of [person, alone]) {
      assert.ok(
        [...box.secrets].some(value => /^\d{6}$/.test(value)),
        'the tap has seen no code',
      )
      await box.proxy.server.close(500)
      assertNothing(box.all(), [...box.secrets, totpSecret])
    }
  })
}

test('nothing that the proxy says about an authorization code holds it', async t => {
  const tapped = await startTapped(t, { product: 'google-cloud', tokenLife: 1 })
  const codes = [
    tapped.simulator.issueAuthorizationCode(),
    'AAEAAwrong+/=AAEAAwrong+/=',
    tapped.simulator.issueAuthorizationCode(),
  ]
  const code = { type: 'authorization_code', code: secret(codes[0] ?? '') } as const
  const proxy = await startProxy(t, [applianceAt(tapped, 'google-cloud', { credentials: code })])
  const { hear, pages, all } = listen(proxy)
  await eventually('renewed', () => tapped.simulator.counts.refreshes > 0)
  tapped.simulator.revoke('all')
  await eventually('waiting', async () => (await statusOf(proxy.url)).get('state') === 'waiting')
  for (const each of codes.slice(1)) hear(await giveCode(proxy.url, each))
  await pages()
  await proxy.server.close(500)
  assert.ok(tapped.secrets.size >= 6)
  assertNothing(all(), [...tapped.secrets, ...codes])
})

test('an appliance that repeats what it was sent, in its refusals, does not make the proxy repeat it', async t => {
  const password = `Pa55+word/=& %25#ü-that*is!(rep'eated)`
  const scripted = await startScripted(t, {
    token: ({ body, form }) => {
      const sent = body.toString()
      const small = sent.replace(/%../g, octet => octet.toLowerCase())
      const said = [sent, small, form.get('Password'), Buffer.from(sent).toString('base64')].join(' | ')
      return { status: 400, body: { error: 'invalid_grant', error_description: said.slice(0, 290), detail: said } }
    },
  })
  const repeated = { credentials: { type: 'password', username: 'Administrator', password: secret(password) } } as const
  const proxy = await startProxy(t, [applianceAt(scripted, 'azure', repeated)])
  const { hear, pages, all } = listen(proxy)
  await eventually('refused', async () => (await statusOf(proxy.url)).get('state') === 'refused')
  hear(await get(proxy.url, '/box/x'))
  await pages()
  assert.equal(scripted.tokenRequests[0]?.form.get('Password'), password)
  assertNothing(all(), [password])
})

test('an appliance that repeats a secret at such a place that its message is cut there does not make the proxy repeat a part', async t => {
  const password = 'Bcdfghjk-mnpqrstv-wxz-0123456789-secret'
  const repeated = { credentials: { type: 'password', username: 'Administrator', password: secret(password) } } as const
  for (const before of [215, 240, 265, 280, 295, 310]) {
    const padded = await startScripted(t, {
      token: ({ form }) => {
        const said = `${'.'.repeat(before)}${form.get('Password')} ${'.'.repeat(200)}`
        return { status: 400, body: { error: 'invalid_grant', error_description: said } }
      },
    })
    const proxy = await startProxy(t, [applianceAt(padded, 'azure', repeated)])
    const { hear, pages, all } = listen(proxy)
    await eventually('refused', async () => (await statusOf(proxy.url)).get('state') === 'refused')
    hear(await get(proxy.url, '/box/x'))
    await pages()
    assert.match(all(), /\.\[r\w*(?:…|\])/)
    assertNothing(all(), [password.slice(0, 6)])
  }
})

test('the search for leaks finds a secret that was logged by accident, in every form', () => {
  const planted = 'Pl4nted+/=& %25#ü-secret-that-nobody-has-told-the-redactor-about-and-is-long'
  const forms = [
    planted,
    encodeURIComponent(planted),
    new URLSearchParams({ password: planted }).toString(),
    Buffer.from(planted).toString('base64'),
    Buffer.from(`Administrator:${planted}`).toString('base64'),
    Buffer.from(`x${planted}`).toString('base64url'),
    planted.slice(-40),
  ]
  for (const form of forms) {
    const lines: string[] = []
    const log = createLog('trace', new Redactor(), { write: line => lines.push(line) })
    log.trace({ detail: `said: ${form}` }, 'by accident')
    assert.equal(lines.length, 1)
    assert.notDeepEqual(leaksIn(lines.join(''), [planted]), [], form)
  }
  assert.deepEqual(leaksIn('{"time":1123456789,"code":"123456"}', ['123456']), ['123456'])
  assert.deepEqual(leaksIn('{"time":1123456789}', ['123456']), [])
})

test('a secret that the redactor knows does not get through the log in any form, by whatever member', () => {
  const known = 'Kn0wn+/=& %25#ü"\\-secret-of-the-proxy'
  const redactor = new Redactor()
  redactor.learn(known)
  const lines: string[] = []
  const log = createLog('trace', redactor, { write: line => lines.push(line) })
  log.info({ detail: known, form: `p=${encodeURIComponent(known)}` }, `said ${known}`)
  log.error({ err: new Error(`failed with ${known}`, { cause: new Error(known) }) }, 'failed')
  log.warn({ basic: Buffer.from(known).toString('base64') }, 'basic')
  assert.equal(lines.length, 3)
  assert.match(lines.join(''), /\[redacted\]/)
  assertNothing(lines.join(''), [known])
})
