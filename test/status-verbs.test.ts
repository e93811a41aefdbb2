import assert from 'node:assert/strict'
import test from 'node:test'
import { call, get, statusOf } from './caller.ts'
import { type Context, eventually, secret, startBox } from './rig.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }

async function startLive(t: Context, parts: Parameters<typeof startBox>[3] = {}) {
  const box = await startBox(t, { product: 'azure' }, {}, parts)
  await eventually('live', () => box.simulator.counts.signIns === 1)
  return box
}

const post = (url: string, verb: string, fields = {}, body = '') =>
  call(url, { method: 'POST', path: `/-/appliances/box/${verb}`, fields, body })

test('a session is renewed, signed out for good, and signed in again by verbs', async t => {
  const { simulator, url } = await startLive(t)
  const renewed = await post(url, 'renew')
  assert.deepEqual([renewed.status, renewed.json.get('state'), simulator.counts.refreshes], [200, 'live', 1])
  const left = await post(url, 'sign-out')
  assert.deepEqual([left.status, left.json.get('state'), simulator.counts.signOuts], [200, 'signed-out', 1])
  const refused = await get(url, '/box/api/v8.1/policies')
  assert.deepEqual([refused.status, refused.json.get('code')], [503, 'NOT_SIGNED_IN'])
  const late = await post(url, 'renew')
  assert.deepEqual([late.status, late.json.get('code')], [409, 'NO_SESSION'])
  assert.equal((await statusOf(url)).get('state'), 'signed-out')
  assert.equal((await post(url, 'sign-in')).json.get('state'), 'live')
  assert.equal((await get(url, '/box/api/v8.1/policies')).status, 200)
  assert.deepEqual([simulator.counts.signIns, simulator.counts.refreshes], [2, 1])
})

test('a session that was signed out stays so through a reload of the configuration', async t => {
  const { simulator, server, url } = await startLive(t)
  await post(url, 'sign-out')
  await server.reload()
  await new Promise(resolve => setTimeout(resolve, 500))
  assert.deepEqual([(await statusOf(url)).get('state'), simulator.counts.signIns], ['signed-out', 1])
})

test('a form is answered by the way back to the page, with what came of it', async t => {
  const { url } = await startLive(t)
  const done = await post(url, 'renew', form)
  assert.deepEqual([done.status, done.fields.location, done.text], [303, '/-/?appliance=box&done=renew', ''])
  const page = await get(url, '/-/?appliance=box&done=renew')
  assert.match(page.text, /<p class="good">box: the session was renewed\.<\/p>/)
  const failed = await post(url, 'code', form, 'code=123456')
  assert.deepEqual([failed.status, failed.fields.location], [303, '/-/?appliance=box&failed=CODE_UNWANTED'])
  assert.match((await get(url, '/-/?appliance=box&failed=CODE_UNWANTED')).text, /box: The appliance is not waiting/)
})

test('the page says nothing that an address put into its mouth', async t => {
  const { url } = await startLive(t)
  for (const query of [
    'appliance=%3Cscript%3E&done=renew',
    'appliance=box&done=%3Cscript%3E',
    'appliance=box&done=constructor',
    'appliance=box&failed=__proto__',
    'appliance=box&failed=%3Cscript%3E',
    'example=%22%3E%3Cscript%3E',
    'done=renew&done=renew&appliance=box&appliance=box',
  ]) {
    const { status, text } = await get(url, `/?${query}`)
    assert.deepEqual(
      [status, text.includes('<script>'), /id="notice" role="status"><\/div>/.test(text)],
      [200, false, true],
    )
  }
})

test('a form of another site, one that is too long, and a link press nothing', async t => {
  const { simulator, url } = await startLive(t)
  for (const fields of [
    { ...form, origin: 'https://evil.example' },
    { ...form, origin: 'null' },
    { ...form, 'sec-fetch-site': 'cross-site' },
    { ...form, 'sec-fetch-site': 'same-site' },
  ]) {
    const reply = await post(url, 'sign-out', fields)
    assert.deepEqual([reply.status, reply.json.get('code')], [403, 'ORIGIN_DENIED'])
  }
  assert.equal((await post(url, 'sign-out', form, `x=${'y'.repeat(20_000)}`)).status, 400)
  assert.equal((await get(url, '/-/appliances/box/sign-out')).status, 404, 'nor does a link')
  assert.equal(simulator.counts.signOuts, 0)
})

test('only a caller marked admin may renew and sign out, by a form or without', async t => {
  const callers = [
    { name: 'reader', secret: secret('a-secret-for-the-reader'), rule: {}, admin: false },
    { name: 'boss', secret: secret('a-secret-for-the-boss'), rule: {}, admin: true },
  ]
  const { simulator, url } = await startLive(t, { guard: { callers } })
  for (const verb of ['renew', 'sign-out']) {
    assert.equal((await post(url, verb)).status, 401)
    const reply = await post(url, verb, { ...form, 'x-proxy-key': 'a-secret-for-the-reader' })
    assert.deepEqual([reply.status, reply.json.get('code')], [403, 'ADMIN_WANTED'])
  }
  assert.deepEqual([simulator.counts.refreshes, simulator.counts.signOuts], [0, 0])
  assert.equal((await post(url, 'renew', { 'x-proxy-key': 'a-secret-for-the-boss' })).status, 200)
})

test('the page and what it loads carry a policy that lets nothing else in, and no cookie', async t => {
  const { url } = await startLive(t)
  const page = await get(url, '/')
  assert.equal((await get(url, '/-/')).status, 200)
  const paths = [...page.text.matchAll(/(?:href|src)="(\/-\/page\/[^"]+)"/g)].map(([, path = '']) => path)
  assert.ok(paths.length >= 7, paths.join())
  for (const reply of [page, ...(await Promise.all(paths.map(path => get(url, path))))]) {
    assert.equal(reply.status, 200)
    const policy = String(reply.fields['content-security-policy']).split('; ')
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'"]) {
      assert.ok(policy.includes(part), part)
    }
    for (const part of ["base-uri 'none'", "frame-ancestors 'none'"]) assert.ok(policy.includes(part), part)
    assert.ok(!/unsafe|https?:|\*/.test(policy.join()))
    assert.deepEqual([reply.fields['x-content-type-options'], reply.fields['set-cookie']], ['nosniff', undefined])
  }
  assert.ok(!/<style|style="|<script(?! type="module" src=)|\son\w+="|javascript:/.test(page.text), 'nothing inline')
  assert.equal(page.fields['cache-control'], 'no-store')
})

test('an appliance that is served at the root keeps the root for itself', async t => {
  const { url } = await startLive(t, { mount: 'root' })
  assert.notEqual((await get(url, '/')).fields['content-type'], 'text/html; charset=utf-8')
  const page = await get(url, '/-/')
  assert.equal(page.fields['content-type'], 'text/html; charset=utf-8')
  assert.ok(page.text.includes(`curl &#39;${url}/api/v8.1/policies&#39;`))
})
