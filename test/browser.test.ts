import assert from 'node:assert/strict'
import { test } from 'node:test'
import { call, get, valuesOf } from './caller.ts'
import { answerOf, type RawScript, startRawAppliance } from './raw-http.ts'
import { applianceAt, type Context, eventually, startProxy } from './rig.ts'

const origin = 'https://grafana.example'

async function start(t: Context, lines: readonly string[], guard = {}) {
  const script: RawScript = { answer: (_, socket) => socket.write(answerOf('{}', ...lines)) }
  const appliance = await startRawAppliance(t, script)
  const { url } = await startProxy(t, [applianceAt(appliance, 'azure')], { guard })
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { ...appliance, url }
}

/** The members of a field that is a list, over all its lines. */
const listed = (raw: readonly string[], name: string) =>
  valuesOf(raw, name)
    .flatMap(value => value.split(','))
    .map(member => member.trim())
    .sort()

test("an answer to an allowed origin varies by it and by whatever the appliance's own Vary says", async t => {
  for (const own of [
    ['Vary: Accept-Encoding'],
    ['Vary: Accept, Accept-Language', 'vary: Cookie'],
    ['Vary: Origin'],
    [],
  ]) {
    const { url } = await start(t, ['Content-Type: application/json', ...own], { allowedOrigins: [origin] })
    const expected = [...own.flatMap(line => line.slice(6).split(', ')), 'Origin'].sort()
    for (const fields of [{ origin, 'sec-fetch-site': 'cross-site' }, { origin: url }, {}]) {
      const { status, raw } = await get(url, '/box/x', fields)
      assert.deepEqual([status, listed(raw, 'vary')], [200, expected], JSON.stringify(fields))
      const allowed = 'sec-fetch-site' in fields ? [origin] : []
      assert.deepEqual(valuesOf(raw, 'access-control-allow-origin'), allowed)
    }
    const refused = await get(url, '/box/x', { origin: 'https://other.example' })
    assert.deepEqual([refused.status, listed(refused.raw, 'vary')], [403, ['Origin']])
  }
})

test('whatever the proxy says itself to an allowed origin can be read there, and no field of an answer is lost', async t => {
  const { url } = await start(t, ['X-Twice: 1', 'X-Twice: 2', 'Location: /a', 'Location: /b'], {
    allowedOrigins: [origin],
  })
  const { raw } = await get(url, '/box/x', { origin })
  assert.deepEqual(
    [valuesOf(raw, 'x-twice'), valuesOf(raw, 'location')],
    [
      ['1', '2'],
      ['/box/a', '/box/b'],
    ],
  )
  const away = { ...applianceAt({ url: 'https://127.0.0.1:9', certificate: '' }, 'azure'), tls: { verify: true } }
  const proxy = await startProxy(t, [away], { guard: { allowedOrigins: [origin] } })
  for (const path of ['/box/x', '/nobody/x', '/-/status', '/box/%2e%2e/x']) {
    const reply = await get(proxy.url, path, { origin })
    assert.deepEqual(valuesOf(reply.raw, 'access-control-allow-origin'), [origin], path)
    assert.deepEqual(listed(reply.raw, 'vary'), ['Origin'], path)
  }
})

test("where no origin is allowed the appliance's Vary comes down as it is", async t => {
  const { url } = await start(t, ['Vary: Accept'])
  assert.deepEqual(valuesOf((await get(url, '/box/x')).raw, 'vary'), ['Accept'])
})

test('an appliance cannot let a page of another origin in, nor hand it anything about itself', async t => {
  const lines = ['Access-Control-Allow-Origin: *', 'Access-Control-Allow-Credentials: true']
  const { url } = await start(t, [...lines, 'Access-Control-Allow-Private-Network: true'], { allowedOrigins: [origin] })
  const { raw } = await get(url, '/box/x', { origin })
  assert.deepEqual(valuesOf(raw, 'access-control-allow-origin'), [origin])
  for (const name of ['credentials', 'private-network'])
    assert.deepEqual(valuesOf(raw, `access-control-allow-${name}`), [])
  const preflight = { origin, 'access-control-request-method': 'GET', 'access-control-request-private-network': 'true' }
  const asked = await call(url, { method: 'OPTIONS', path: '/box/x', fields: preflight })
  assert.deepEqual([asked.status, valuesOf(asked.raw, 'access-control-allow-private-network')], [204, []])
})

test('a page of an appliance is sandboxed where others and the proxy have the same origin, whatever it says itself', async t => {
  const own = "default-src 'self' 'unsafe-inline'"
  const { url } = await start(t, ['Content-Type: text/html', `Content-Security-Policy: ${own}`])
  const shown = { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }
  for (const destination of ['document', 'iframe', 'object', 'embed', 'worker', 'serviceworker', 'unheard-of']) {
    const { status, raw } = await get(url, '/box/x', { ...shown, 'sec-fetch-dest': destination })
    assert.deepEqual([status, valuesOf(raw, 'content-security-policy')], [200, [own, 'sandbox']], destination)
  }
  const policies = async (path: string, fields: Record<string, string>) =>
    valuesOf((await get(url, path, fields)).raw, 'content-security-policy')
  assert.deepEqual(await policies('/box/x', {}), [own], 'a tool')
  assert.deepEqual(await policies('/box/x', { 'sec-fetch-dest': 'empty', 'sec-fetch-site': 'same-origin' }), [own])
  const alone = { ...shown, 'sec-fetch-dest': 'document', host: 'box.localhost' }
  assert.deepEqual(await policies('/x', alone), [own], 'under a name of its own')
  assert.deepEqual(await policies('/-/status', { ...shown, 'sec-fetch-dest': 'document' }), [], "the proxy's own pages")
  // What a sandboxed page sends.
  const sent = await call(url, { method: 'POST', path: '/-/reload', fields: { origin: 'null' } })
  assert.equal(sent.status, 403)
})
