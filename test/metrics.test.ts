import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { get as httpsGet } from 'node:https'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Redactor } from '../src/redactor.ts'
import { ProxyServer } from '../src/server.ts'
import type { SimulatorOptions } from '../src/simulator/index.ts'
import { Metrics } from '../src/status/metrics.ts'
import { call, get, statusOf } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { namesIn, scrape, seriesIn } from './exposition.ts'
import { promtool } from './promtool.ts'
import { openRaw } from './raw-http.ts'
import {
  applianceAt,
  type Context,
  eventually,
  secret,
  sharedCertificate,
  silent,
  simulate,
  startBox,
  startProxy,
} from './rig.ts'
import { granted, startScripted } from './scripted-appliance.ts'

const KEY = 'the-secret-of-the-reader-caller'
const path = '/box/api/v8.1/policies'

async function start(t: Context, options: Partial<SimulatorOptions> = {}, overrides = {}, parts = {}) {
  const box = await startBox(t, { product: 'azure', ...options }, overrides, parts)
  await eventually('ready', async () => (await get(box.url, '/-/readyz')).status === 200)
  return box
}

/** The value of a series of ours; undefined where there is none. */
async function value(url: string, series: string): Promise<number | undefined> {
  return (await scrape(url)).series.get(`veeam_auth_proxy_${series}`)
}

/** Requests are counted when they have ended, a moment after their caller has the answer. */
function reaches(url: string, series: string, wanted: number): Promise<void> {
  return eventually(`${series} is ${wanted}`, async () => (await value(url, series)) === wanted)
}

const requests = (appliance: string, method: string, source: string, status: string) =>
  `requests_total{appliance="${appliance}",method="${method}",source="${source}",status="${status}"}`

test('the page of metrics is what Prometheus wants: promtool finds nothing to criticise', async t => {
  const { url, simulator } = await start(t)
  simulator.revoke('access')
  await get(url, path)
  await get(url, '/nobody')
  await get(url, '/box/api/oauth2/token')
  const { reply } = await scrape(url)
  assert.equal(reply.fields['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  const checked = promtool(t, ['check', 'metrics'], reply.text)
  if (checked === undefined) return
  assert.deepEqual(checked, { exitCode: 0, said: '' })
  const wrong = promtool(t, ['check', 'metrics'], '# TYPE a_total gauge\na_total 1\n')
  assert.notEqual(wrong?.exitCode, 0, 'promtool finds what is wrong')
})

test('requests are counted by appliance, method, class of status and source, with their time and their bytes', async t => {
  const { url } = await start(t)
  const body = 'x'.repeat(500)
  const replies = [await get(url, path), await get(url, `${path}?limit=1`)]
  replies.push(await call(url, { method: 'POST', path: '/box/api/v8.1/simulator/echo', body }))
  await get(url, '/box/api/v8.1/simulator/status/404')
  await get(url, '/box/api/oauth2/token')
  await get(url, '/nobody')
  await reaches(url, requests('box', 'GET', 'upstream', '2xx'), 2)
  await reaches(url, requests('box', 'POST', 'upstream', '2xx'), 1)
  await reaches(url, requests('box', 'GET', 'upstream', '4xx'), 1)
  await reaches(url, requests('box', 'GET', 'proxy', '4xx'), 1)
  await reaches(url, requests('-', 'GET', 'proxy', '4xx'), 1)
  const { series } = await scrape(url)
  const of = (name: string) => series.get(`veeam_auth_proxy_${name}`)
  assert.equal(of('request_body_bytes_total{appliance="box"}'), 500)
  const down = replies.reduce((sum, reply) => sum + reply.body.length, 0)
  assert.ok(Number(of('response_body_bytes_total{appliance="box"}')) >= down)
  const labels = 'appliance="box",source="upstream"'
  assert.equal(of(`request_duration_seconds_count{${labels}}`), 4)
  assert.equal(of(`request_duration_seconds_bucket{appliance="box",le="+Inf",source="upstream"}`), 4)
  const sum = Number(of(`request_duration_seconds_sum{${labels}}`))
  assert.ok(sum > 0 && sum < 20, String(sum))
})

test('a duration is counted in every bucket that is as long, from a millisecond to a minute', async () => {
  const metrics = metricsAlone()
  for (const milliseconds of [0.2, 1, 1.1, 300, 59_000, 61_000]) metrics.request(account(milliseconds), ok)
  const series = seriesIn((await metrics.page()).text)
  const upTo = (le: string) =>
    series.get(`veeam_auth_proxy_request_duration_seconds_bucket{appliance="-",le="${le}",source="proxy"}`)
  assert.deepEqual(['0.001', '0.0025', '0.25', '0.5', '30', '60', '+Inf'].map(upTo), [2, 3, 3, 4, 4, 5, 6])
})

test('no caller can make series: other methods, names and statuses count together', async t => {
  const scripted = await startScripted(t, {
    resource: (seen, response) => response.writeHead(Number(seen.url.slice(1))).end(),
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  for (const method of ['PROPFIND', 'MKCOL', 'REPORT']) await call(url, { method, path: '/box/200' })
  for (const status of [200, 299, 399, 599, 600, 999]) await get(url, `/box/${status}`)
  for (let i = 0; i < 20; i += 1) await get(url, `/nobody-${i}/x`)
  await reaches(url, requests('box', 'other', 'upstream', '2xx'), 3)
  await reaches(url, requests('-', 'GET', 'proxy', '4xx'), 20)
  await reaches(url, requests('box', 'GET', 'upstream', '5xx'), 3)
  const { reply, series } = await scrape(url)
  assert.doesNotMatch(reply.text, /nobody-|PROPFIND/)
  const counted = [...series].filter(([name]) => name.startsWith('veeam_auth_proxy_requests_total{'))
  assert.ok(counted.length <= 9, counted.join('\n'))
})

test('requests under way at an appliance are counted while they are', async t => {
  const { url, simulator } = await start(t)
  assert.equal(await value(url, 'requests_in_flight{appliance="box"}'), 0)
  const before = simulator.counts.requests
  const slow = [1, 2].map(() => get(url, '/box/api/v8.1/simulator/slow?ms=1500'))
  await eventually('upstream', () => simulator.counts.requests === before + 2)
  await call(url, { method: 'POST', path: '/-/reload' })
  assert.equal(await value(url, 'requests_in_flight{appliance="box"}'), 2, 'a reload forgets none')
  await Promise.all(slow)
  await reaches(url, 'requests_in_flight{appliance="box"}', 0)
})

test('a caller that leaves is counted, with the status that nginx has for it', async t => {
  const scripted = await startScripted(t, { resource: () => undefined })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  const caller = openRaw(t, url)
  caller.say('GET /box/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await eventually('it is upstream', () => scripted.requests.length === 1)
  caller.socket.destroy()
  await reaches(url, requests('box', 'GET', 'proxy', '4xx'), 1)
})

test('a rejected token is counted as a 401 of the appliance and, where it was sent again, as a replay', async t => {
  const { url, simulator } = await start(t)
  simulator.revoke('access')
  assert.equal((await get(url, path)).status, 200)
  await reaches(url, 'upstream_unauthorized_total{appliance="box"}', 1)
  await reaches(url, 'replays_total{appliance="box"}', 1)
  simulator.revoke('access')
  assert.equal((await get(url, path)).status, 401, 'the second within ten seconds goes to the caller')
  await reaches(url, 'upstream_unauthorized_total{appliance="box"}', 2)
  assert.equal(await value(url, 'replays_total{appliance="box"}'), 1)
})

test('the state of a session is 1 where it is and 0 elsewhere, with its expiry, its renewal and its failures', async t => {
  const { url, simulator } = await start(t, { tokenLife: 1000 })
  const states = async () => {
    const { series } = await scrape(url)
    const all = [...series].filter(([name]) => name.startsWith('veeam_auth_proxy_session_state{appliance="box"'))
    assert.equal(all.length, 7)
    return all.filter(([, one]) => one === 1).map(([name]) => /state="([a-z-]+)"/.exec(name)?.[1])
  }
  assert.deepEqual(await states(), ['live'])
  const status = await statusOf(url)
  const at = (name: string) => Date.parse(String(status.get(name))) / 1000
  const near = (one: number | undefined, other: number) =>
    assert.ok(Math.abs((one ?? 0) - other) < 1, `${one} ${other}`)
  near(await value(url, 'session_expiry_timestamp_seconds{appliance="box"}'), at('expiresAt'))
  near(await value(url, 'session_renewal_timestamp_seconds{appliance="box"}'), at('renewsAt'))
  simulator.misbehave({ where: 'token', answer: 500 })
  const signIn = () => call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
  await signIn()
  await signIn()
  const failures = await value(url, 'session_failures{appliance="box"}')
  assert.ok(Number(failures) >= 2, String(failures))
  assert.deepEqual(await states(), ['live'])
  simulator.misbehave(undefined)
  await signIn()
  assert.equal(await value(url, 'session_failures{appliance="box"}'), 0)
})

test('a session that was refused has its state, and neither expiry nor renewal', async t => {
  const { url } = await startBox(t, { product: 'azure', password: 'another' })
  await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
  const { series } = await scrape(url)
  assert.equal(series.get('veeam_auth_proxy_session_state{appliance="box",state="refused"}'), 1)
  for (const time of ['expiry', 'renewal']) {
    assert.equal(series.get(`veeam_auth_proxy_session_${time}_timestamp_seconds{appliance="box"}`), undefined)
  }
  const grants = [...series].filter(([name]) => name.startsWith('veeam_auth_proxy_grants_total'))
  assert.deepEqual(grants, [
    ['veeam_auth_proxy_grants_total{appliance="box",grant="password",reason="SIGN_IN_REFUSED",result="failed"}', 1],
  ])
})

test('grants are counted by their kind, their result and the reason of a failure', async t => {
  const { url } = await startProxy(t, [
    applianceAt(await startScripted(t, { token: (_, nth) => (nth === 2 ? { status: 503 } : granted(nth)) }), 'azure'),
  ])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  for (let i = 0; i < 2; i += 1) await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
  const grants = (grant: string, result: string, reason: string) =>
    `grants_total{appliance="box",grant="${grant}",reason="${reason}",result="${result}"}`
  await reaches(url, grants('password', 'granted', 'none'), 1)
  await reaches(url, grants('refresh_token', 'failed', 'APPLIANCE_BUSY'), 1)
  await reaches(url, grants('refresh_token', 'granted', 'none'), 1)
})

test('what the guard and the rules denied is counted by rule, and every other failure by its code', async t => {
  const callers = [{ name: 'reader', secret: secret(KEY), rule: { readOnly: true }, admin: false }]
  const { url } = await startBox(t, { product: 'azure' }, {}, { guard: { callers } })
  const fields = { 'x-proxy-key': KEY }
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  await get(url, path)
  await get(url, path, { ...fields, host: 'evil.example' })
  await get(url, path, { ...fields, origin: 'https://evil.example' })
  await call(url, { method: 'POST', path, fields })
  await call(url, { method: 'POST', path: '/-/reload', fields })
  await get(url, '/box/api/oauth2/token', fields)
  await get(url, '/nobody', fields)
  const denials = async () => {
    const { series } = await scrape(url, fields)
    return Object.fromEntries(
      [...series].flatMap(([name, times]) => {
        const [, kind, labels] = /^veeam_auth_proxy_(denials|failures)_total\{(.*)\}$/.exec(name) ?? []
        return kind === undefined ? [] : [[`${kind} ${labels}`, times]]
      }),
    )
  }
  await eventually('all are counted', async () => Object.keys(await denials()).length === 7)
  assert.deepEqual(await denials(), {
    'denials appliance="-",rule="CALLER_UNKNOWN"': 1,
    'denials appliance="-",rule="HOST_UNKNOWN"': 1,
    'denials appliance="-",rule="ORIGIN_DENIED"': 1,
    'denials appliance="-",rule="ADMIN_WANTED"': 1,
    'denials appliance="box",rule="METHOD_DENIED"': 1,
    'denials appliance="box",rule="CREDENTIALS_WITHHELD"': 1,
    'failures appliance="-",code="UNKNOWN_APPLIANCE"': 1,
  })
})

test('metrics are for whoever may call, as the status is', async t => {
  const callers = [{ name: 'prometheus', secret: secret(KEY), rule: {}, admin: false, appliances: [] }]
  const { url } = await startBox(t, { product: 'azure' }, {}, { guard: { callers } })
  assert.equal((await get(url, '/-/metrics')).json.get('code'), 'CALLER_UNKNOWN')
  assert.equal((await get(url, '/-/metrics', { host: 'evil.example' })).status, 421)
  for (const fields of [{ authorization: `Bearer ${KEY}` }, { 'x-proxy-key': KEY }]) {
    assert.equal((await get(url, '/-/metrics', fields)).status, 200)
  }
})

test('the certificates that the appliance and the proxy show tell when they expire', async t => {
  const { url } = await start(t)
  const certificate = await sharedCertificate()
  const expiry = 'certificate_expiry_timestamp_seconds'
  const year = Date.now() / 1000 + 300 * 86_400
  const upstream = await value(url, `upstream_${expiry}{appliance="box"}`)
  assert.ok(Number(upstream) > year, String(upstream))
  await call(url, { method: 'POST', path: '/-/reload' })
  assert.equal(await value(url, `upstream_${expiry}{appliance="box"}`), upstream, 'a reload does not forget it')
  assert.equal(await value(url, `listener_${expiry}`), undefined, 'there is none without TLS')
  const simulator = await simulate(t, { product: 'azure', http: true })
  const { server, url: plain } = await startProxy(t, [applianceAt(simulator, 'azure', { tls: { verify: true } })])
  await eventually('ready', async () => (await get(plain, '/-/readyz')).status === 200)
  assert.equal(await value(plain, `upstream_${expiry}{appliance="box"}`), undefined)
  const authorityDirectory = temporaryFolder(t).path
  for (const [tls, least, most] of [
    [certificate, year, Number.POSITIVE_INFINITY],
    ['auto', Date.now() / 1000 + 89 * 86_400, Date.now() / 1000 + 91 * 86_400],
  ] as const) {
    const listen = { ...server.configuration.listen, tls }
    const parts = { log: silent, redactor: new Redactor(), version: '0', authorityDirectory }
    const secure = await ProxyServer.start({ ...server.configuration, listen }, parts)
    t.after(() => secure.close(0))
    const series = seriesIn(await securely(secure.url, '/-/metrics'))
    const expires = Number(series.get(`veeam_auth_proxy_listener_${expiry}`))
    assert.ok(expires > least && expires < most, String(expires))
  }
})

/** What a page says over TLS, whose certificate is not this test's subject. */
async function securely(url: string, path: string): Promise<string> {
  const { port } = new URL(url)
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    httpsGet({ port, host: 'localhost', path, rejectUnauthorized: false, agent: false }, resolve).on('error', reject)
  })
  return text(answer)
}

test('an appliance that a reload removes disappears, and one that it adds is there', async t => {
  const [one, two] = [await simulate(t, { product: 'azure' }), await simulate(t, { product: 'azure' })]
  const named = (name: string, at: typeof one) => ({ ...applianceAt(at, 'azure'), name })
  let appliances = [named('stays', one), named('goes', two)]
  const { url, server } = await startProxy(t, appliances, {
    load: async () => ({ ...server.configuration, appliances }),
  })
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  for (const name of ['stays', 'goes']) await get(url, `/${name}/api/v8.1/policies`)
  await reaches(url, requests('goes', 'GET', 'upstream', '2xx'), 1)
  appliances = [named('stays', one), named('comes', two)]
  assert.equal((await call(url, { method: 'POST', path: '/-/reload' })).status, 200)
  await eventually('signed in', async () => (await statusOf(url, 'comes')).get('state') === 'live')
  const { reply } = await scrape(url)
  assert.doesNotMatch(reply.text, /"goes"/)
  assert.match(reply.text, /"comes"/)
  assert.equal(await value(url, requests('stays', 'GET', 'upstream', '2xx')), 1, 'what was counted stays')
})

test('the cache has series when there is one, and none before', async () => {
  const metrics = metricsAlone()
  const cached = async () =>
    [...seriesIn((await metrics.page()).text)].filter(([name]) => name.includes('_cache_requests_total'))
  metrics.request(account(1), ok)
  assert.deepEqual(await cached(), [])
  for (const cache of ['hit', 'hit', 'miss']) metrics.request({ ...account(1), cache }, ok)
  assert.deepEqual(await cached(), [
    ['veeam_auth_proxy_cache_requests_total{appliance="-",result="hit"}', 2],
    ['veeam_auth_proxy_cache_requests_total{appliance="-",result="miss"}', 1],
  ])
})

test('metrics tell the version, what the appliances are, and how the process does', async t => {
  const { url } = await start(t)
  const { reply, series } = await scrape(url)
  assert.equal(series.get(`veeam_auth_proxy_build_info{node_version="${process.version}",version="0.0.0-test"}`), 1)
  const info = 'appliance="box",product="azure",trust="own authority"'
  assert.equal(series.get(`veeam_auth_proxy_appliance_info{${info}}`), 1)
  assert.ok(Number(series.get('process_resident_memory_bytes')) > 10_000_000)
  assert.ok(Number(series.get('process_cpu_seconds_total')) > 0)
  const strangers = namesIn(reply.text).filter(name => !/^(veeam_auth_proxy|process|nodejs)_/.test(name))
  assert.deepEqual(strangers, [])
})

const ok = { method: 'GET', status: 200 }

function account(duration: number) {
  const counts = { bytesUp: 0, bytesDown: 0, rejections: 0, replayed: false, cache: undefined }
  return { appliance: undefined, failure: undefined, fromUpstream: false, duration, ...counts }
}

function metricsAlone(): Metrics {
  return new Metrics({ version: '0', appliances: () => new Map(), listenerCertificate: () => undefined })
}
