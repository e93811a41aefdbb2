import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultPassword, startSimulator } from '../src/simulator/index.ts'
import { call, get } from './caller.ts'
import { entryOf, spawnCli, startCli } from './cli-rig.ts'
import { type Collected, startCollector } from './collector.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { applianceAt, type Context, eventually, secret, startProxy } from './rig.ts'
import { type Script, startScripted } from './scripted-appliance.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const traced = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=a,other=b' }
const KEY = 'the-secret-of-the-reader-caller'

// OpenTelemetry reads these itself, whenever a proxy starts.
process.env.OTEL_BSP_SCHEDULE_DELAY = '50'

async function start(t: Context, script: Script = {}, parts = {}) {
  const collector = await startCollector(t)
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.url
  const scripted = await startScripted(t, script)
  const proxy = await startProxy(t, [applianceAt(scripted, 'azure')], { tracing: true, ...parts })
  const spans = async (count: number): Promise<Collected[]> => {
    await eventually(`${count} spans`, () => collector.spans.length >= count)
    return collector.spans
  }
  await eventually('ready', async () => (await get(proxy.url, '/-/readyz')).status === 200)
  return { ...scripted, ...proxy, collector, spans }
}

function pick(spans: readonly Collected[], kind: Collected['kind']): Collected {
  const found = spans.find(span => span.kind === kind)
  assert.ok(found, `no ${kind} span`)
  return found
}

test('without tracing, the traceparent and tracestate of a caller go up as they are', async t => {
  const scripted = await startScripted(t, {})
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  await get(url, '/box/x', { ...traced, baggage: 'a=b' })
  const { traceparent, tracestate, baggage } = scripted.requests[0]?.fields ?? {}
  assert.deepEqual({ traceparent, tracestate, baggage }, { ...traced, baggage: 'a=b' })
  await get(url, '/box/x')
  assert.equal(scripted.requests[1]?.fields.traceparent, undefined)
})

test('with tracing, a request is a span in the trace of its caller, and its way to the appliance a span below', async t => {
  const callers = [{ name: 'reader', secret: secret(KEY), rule: {}, admin: true }]
  const { url, spans, requests, collector } = await start(
    t,
    { resource: (_, response) => response.writeHead(201).end('abc') },
    { guard: { callers } },
  )
  const fields = { ...traced, 'x-request-id': 'one', 'user-agent': 'probe/1', 'x-proxy-key': KEY }
  await call(url, {
    method: 'POST',
    path: '/box/v1/things?limit=the-value-of-limit&the-only-value',
    fields,
    body: 'xy',
  })
  const all = await spans(2)
  const [server, client] = [pick(all, 'server'), pick(all, 'client')]
  assert.deepEqual([server.traceId, client.traceId], [TRACE, TRACE])
  assert.deepEqual([server.parent, client.parent], [PARENT, server.spanId])
  assert.deepEqual([server.name, client.name], ['POST /box/*', 'POST'])
  const upstream = requests[0]?.fields
  assert.equal(upstream?.traceparent, `00-${TRACE}-${client.spanId}-01`)
  assert.equal(upstream?.tracestate, traced.tracestate)
  const { 'client.address': _, 'veeam_auth_proxy.waited_ms': __, ...described } = server.attributes
  const { port } = new URL(url)
  assert.deepEqual(described, {
    'http.request.method': 'POST',
    'http.response.status_code': 201,
    'http.route': '/box/*',
    'http.request.body.size': 2,
    'http.response.body.size': 3,
    'network.protocol.version': '1.1',
    'server.address': '127.0.0.1',
    'server.port': Number(port),
    'url.path': '/box/v1/things',
    'url.scheme': 'http',
    'user_agent.original': 'probe/1',
    'veeam_auth_proxy.appliance': 'box',
    'veeam_auth_proxy.caller': 'reader',
    'veeam_auth_proxy.request_id': 'one',
    'veeam_auth_proxy.source': 'upstream',
  })
  const { 'url.full': full, 'server.port': upstreamPort, ...rest } = client.attributes
  assert.match(String(full), /^https:\/\/127\.0\.0\.1:\d+\/v1\/things\?limit=REDACTED&REDACTED$/)
  assert.ok(String(full).includes(`:${upstreamPort}/`))
  assert.deepEqual(rest, {
    'http.request.method': 'POST',
    'http.response.status_code': 201,
    'server.address': '127.0.0.1',
  })
  assert.deepEqual([server.isError, client.isError], [false, false])
  assert.equal(collector.services[0]?.['service.name'], 'veeam-auth-proxy')
  for (const hidden of ['the-value-of-limit', 'the-only-value', KEY, 'access-1-token']) {
    assert.ok(!collector.text().includes(hidden), hidden)
  }
})

test('a caller without a trace, or with one that makes no sense, begins a new one, without the state of another', async t => {
  const { url, spans, requests } = await start(t)
  await get(url, '/box/x', { traceparent: 'nonsense', tracestate: 'vendor=a' })
  await get(url, '/box/x')
  const all = await spans(4)
  const servers = all.filter(({ kind }) => kind === 'server')
  assert.deepEqual(
    servers.map(({ parent }) => parent),
    [undefined, undefined],
  )
  assert.equal(new Set(servers.map(({ traceId }) => traceId)).size, 2)
  for (const { fields } of requests) {
    assert.ok(servers.some(({ traceId }) => fields.traceparent?.toString().startsWith(`00-${traceId}-`)))
    assert.equal(fields.tracestate, undefined)
  }
})

test('a caller that does not want to be recorded is not, and the appliance is told so', async t => {
  const { url, spans, requests, collector } = await start(t)
  await get(url, '/box/x', { traceparent: `00-${TRACE}-${PARENT}-00` })
  assert.match(String(requests[0]?.fields.traceparent), new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
  await get(url, '/box/x')
  await spans(2)
  assert.ok(!collector.text().includes(TRACE))
})

test('a request that is sent again with a newer session has a span for each sending', async t => {
  const { url, spans } = await start(t, {
    resource: ({ fields }, response) =>
      response.writeHead(fields.authorization === 'Bearer access-1-token' ? 401 : 200).end(),
  })
  assert.equal((await get(url, '/box/x', traced)).status, 200)
  const clients = (await spans(3)).filter(({ kind }) => kind === 'client')
  assert.deepEqual(
    clients.map(({ attributes, isError }) => [
      attributes['http.response.status_code'],
      attributes['http.request.resend_count'],
      isError,
    ]),
    [
      [401, undefined, true],
      [200, 1, false],
    ],
  )
})

test('failures of the appliance and of the proxy are errors of their spans, denials are not', async t => {
  const { url, spans } = await start(t, {
    resource: ({ url: path }, response) =>
      path === '/broken' ? void response.destroy() : void response.writeHead(500).end(),
  })
  await get(url, '/box/500')
  await get(url, '/box/broken')
  await get(url, '/box/api/oauth2/token')
  await get(url, '/nobody/x')
  const all = await spans(6)
  const told = (kind: Collected['kind']) =>
    all
      .filter(span => span.kind === kind)
      .map(({ name, attributes, isError }) => [name, attributes['error.type'], isError])
  assert.deepEqual(told('server'), [
    ['GET /box/*', '500', true],
    ['GET /box/*', 'APPLIANCE_UNREACHABLE', true],
    ['GET /box/*', 'CREDENTIALS_WITHHELD', false],
    ['GET', 'UNKNOWN_APPLIANCE', false],
  ])
  const [first, second] = told('client')
  assert.deepEqual(first, ['GET', '500', true])
  assert.equal(second?.[2], true)
})

test("the proxy's own pages and the proxy's own sign-ins are no spans", async t => {
  const { url, spans, collector } = await start(t)
  for (const path of ['/-/livez', '/-/readyz', '/-/status', '/-/metrics']) await get(url, path)
  await get(url, '/box/x')
  await spans(2)
  assert.equal(collector.spans.length, 2)
})

test('what was not yet sent is sent when the proxy ends', async t => {
  process.env.OTEL_BSP_SCHEDULE_DELAY = '60000'
  t.after(() => {
    process.env.OTEL_BSP_SCHEDULE_DELAY = '50'
  })
  const { url, collector, server } = await start(t)
  await get(url, '/box/x')
  assert.equal(collector.spans.length, 0)
  await server.close(500)
  assert.equal(collector.spans.length, 2)
})

test('a collector that is away holds up neither requests nor the end, and is told of in the log', async t => {
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '300'
  t.after(() => {
    delete process.env.OTEL_EXPORTER_OTLP_TIMEOUT
  })
  // Nobody listens at the port for discarded bytes.
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:9'
  const scripted = await startScripted(t, {})
  const { url, lines, server } = await startProxy(t, [applianceAt(scripted, 'azure')], { tracing: true })
  const told = () => lines.filter(line => line.includes('traces could not be sent'))
  for (let i = 0; i < 3; i += 1) {
    assert.equal((await get(url, '/box/x')).status, 200)
    if (i === 0) await eventually('the log tells', () => told().length > 0)
  }
  const from = performance.now()
  await server.close(500)
  assert.ok(performance.now() - from < 8_000)
  assert.ok(told().length <= 3, told().join(''))
})

test('TRACING=true and the variables of OpenTelemetry are enough for a process that serves', async t => {
  const collector = await startCollector(t)
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  const env = {
    VEEAM_PRODUCT: 'azure',
    VEEAM_URL: simulator.url,
    VEEAM_USERNAME: 'Administrator',
    VEEAM_PASSWORD_FILE: folder.write('password', `${defaultPassword}\n`),
    VEEAM_TLS_FINGERPRINT: simulator.fingerprint,
    PORT: '0',
    TRACING: 'true',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_SERVICE_NAME: 'veeam-of-tenant',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
  }
  const served = spawnCli(t, [], { cwd: folder.path, env })
  const [, url = ''] = await served.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
  await served.match(/"signed in"/)
  await get(url, '/api/v8.1/policies')
  served.child.kill('SIGTERM')
  assert.equal(await served.ended, 0, served.text())
  assert.equal(pick(collector.spans, 'server').name, 'GET /*')
  const [service] = collector.services
  assert.deepEqual([service?.['service.name'], service?.['deployment.environment']], ['veeam-of-tenant', 'test'])
})

/** Makes the packages of OpenTelemetry unfindable for a process, as they are where they were not installed. */
function withoutPackages(folder: ReturnType<typeof temporaryFolder>): Record<string, string> {
  const hook = `export async function resolve(specifier, context, next) {
    if (!specifier.startsWith('@opentelemetry/')) return next(specifier, context)
    throw Object.assign(new Error('Cannot find package ' + specifier), { code: 'ERR_MODULE_NOT_FOUND' })
  }`
  const url = `data:text/javascript,${encodeURIComponent(hook)}`
  const file = folder.write('hook.mjs', `import { register } from 'node:module'\nregister(${JSON.stringify(url)})\n`)
  return { NODE_OPTIONS: `--import=${file}` }
}

test('tracing without its packages is refused with what to install, and without tracing nobody looks for them', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  const entry = `appliances:\n${entryOf('box', 'azure', simulator)}`
  const env = withoutPackages(folder)
  folder.write('appliances.yaml', `tracing: true\n${entry}`)
  const refused = spawnCli(t, ['--port', '0'], { cwd: folder.path, env })
  assert.equal(await refused.ended, 2, refused.text())
  assert.match(
    refused.text(),
    /appliances\.yaml: tracing: tracing is on, and the packages of OpenTelemetry are not installed\. Install .*--include=optional/,
  )
  assert.doesNotMatch(refused.text(), /\n {4}at /)
  folder.write('appliances.yaml', entry)
  const served = spawnCli(t, ['--port', '0'], { cwd: folder.path, env })
  const [, url = ''] = await served.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
  await served.match(/"signed in"/)
  assert.equal((await get(url, '/box/api/v8.1/policies')).status, 200)
})

test('OTEL_SDK_DISABLED=true turns tracing off, whatever the configuration says', async t => {
  const collector = await startCollector(t)
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `tracing: true\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.url
  const served = startCli(t, ['serve', '--port', '0'], { cwd: folder.path, env: { OTEL_SDK_DISABLED: 'TRUE' } })
  await eventually('it listens', () => served.text().includes('listening on'))
  const [, url = ''] = /listening on (http:[^"]+)/.exec(served.text()) ?? []
  assert.equal((await get(url, '/box/api/v8.1/policies')).status, 200)
  served.stop()
  await served.ended
  assert.equal(collector.spans.length, 0)
})

test('tracing cannot be changed by a reload, which says so', async t => {
  const { url, server } = await start(t, {}, { load: async () => ({ ...server.configuration, tracing: false }) })
  const reply = await call(url, { method: 'POST', path: '/-/reload' })
  assert.equal(reply.status, 422)
  assert.match(reply.text, /tracing cannot be changed while the proxy runs; restart it/)
})
