import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { ApplianceConfiguration } from '../src/config/configuration.ts'
import type { Listen } from '../src/listen/address.ts'
import type { ProxyServer } from '../src/server.ts'
import { simulatorRoot } from '../src/simulator/index.ts'
import { call, get, statusOf } from './caller.ts'
import { entryOf, runCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { ask, certificateAt } from './listener-rig.ts'
import { applianceAt, eventually, secret, sharedCertificate, simulate, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

const anyPort = { host: '127.0.0.1', port: 0 }
const own = (...places: Listen[]): Pick<ApplianceConfiguration, 'listen'> => ({
  listen: places.map(place => ({ ...place, files: [] })),
})
/** No rule judges the paths of such an appliance, so that none has to be refused for being ambiguous. */
const unjudged = { access: { rule: {}, credentials: true } }

/** The addresses of an appliance's own listeners, without the slash at their end. */
function ownUrls(server: ProxyServer, name = 'box'): string[] {
  return server
    .servedAt(name)
    .slice(1)
    .map(url => url.replace(/:?\/$/, ''))
}

/** An appliance called `box` that answers `{}` to everything, and a proxy with listeners of its own for it. */
async function startOwn(t: TestContext, places: Listen[], parts: Parameters<typeof startProxy>[2] = {}) {
  const scripted = await startScripted(t, {})
  const box = applianceAt(scripted, 'azure', { ...unjudged, ...own(...places) })
  const other = applianceAt(scripted, 'azure', { name: 'other' })
  const { path: authorityDirectory } = temporaryFolder(t)
  const proxy = await startProxy(t, [box, other], { authorityDirectory, ...parts })
  await eventually('ready', async () => (await get(proxy.url, '/-/readyz')).status === 200)
  const urls = ownUrls(proxy.server)
  const last = () => scripted.requests.at(-1)?.url
  return { ...proxy, ...scripted, proxyUrl: proxy.url, urls, ownUrl: urls[0] ?? '', last, authorityDirectory }
}

const ca = (directory: string) => readFileSync(join(directory, 'local-ca.pem'), 'utf8')

describe('a listener of its own', { concurrency: 4 }, () => {
  test('serves its appliance at the root path byte for byte, by whatever name it is called', async t => {
    const { ownUrl, last } = await startOwn(t, [{ address: anyPort }])
    for (const path of [
      '/',
      '/v8/Jobs?a=1&a=2&q=%2B+%20',
      '/-/livez',
      '/-/status',
      '/-/appliances/box/code',
      '/box/v8/Jobs',
      '/other/v8/Jobs',
      '//two//slashes',
      '/MiXeD/%41%7e',
      '?',
    ]) {
      for (const host of ['localhost', '127.0.0.1:1', 'box.localhost', 'other.localhost:8080', '[::1]']) {
        const sent = path === '?' ? '/?' : path
        assert.equal((await get(ownUrl, sent, { host })).text, '{}', `${host} ${sent}`)
        assert.equal(last(), sent)
      }
    }
    const posted = await call(ownUrl, { method: 'POST', path: '/-/reload', body: 'a body' })
    assert.deepEqual([posted.text, last()], ['{}', '/-/reload'])
  })

  test('takes a request line that names no path for a bad request', async t => {
    const { ownUrl, requests } = await startOwn(t, [{ address: anyPort }])
    for (const [method, path, code] of [
      ['OPTIONS', '*', 'BAD_REQUEST'],
      ['GET', 'http://localhost/-/status', 'NOT_A_FORWARD_PROXY'],
      ['GET', 'http://evil.example/v8', 'NOT_A_FORWARD_PROXY'],
    ]) {
      const reply = await call(ownUrl, { method: method ?? '', path: path ?? '' })
      assert.deepEqual([reply.status, reply.json.get('code')], [400, code], path)
    }
    assert.equal(requests.length, 0)
  })

  test('is one of several: HTTP and HTTPS on different ports, and a Unix socket, all at once', async t => {
    const { cert, key } = await sharedCertificate()
    const path = join(temporaryFolder(t).path, 'box.sock')
    const { urls, last, authorityDirectory, proxyUrl } = await startOwn(t, [
      { address: anyPort },
      { address: anyPort, tls: 'auto' },
      { address: anyPort, tls: { cert, key } },
      { address: { path } },
    ])
    const [plain = '', auto = '', pair = '', unix = ''] = urls
    assert.match(urls.join(' '), /^http:\/\/\S+ https:\/\/\S+ https:\/\/\S+ unix:\S+$/)
    assert.equal((await get(plain, '/1')).status, 200)
    assert.equal((await ask(auto, { ca: ca(authorityDirectory), path: '/2' })).status, 200)
    assert.equal((await ask(pair, { ca: cert, servername: 'localhost', path: '/3' })).status, 200)
    assert.equal((await ask('http://localhost', { socketPath: unix.slice('unix:'.length), path: '/4' })).status, 200)
    assert.equal(last(), '/4')
    assert.equal((await get(proxyUrl, '/box/5')).status, 200, 'and under its name as before')
  })

  test('is guarded as the proxy itself is: host names, origins, callers, rules', async t => {
    const guard = { callers: [{ name: 'tool', secret: secret('a secret of 16 or more'), rule: {}, admin: false }] }
    const { ownUrl, requests } = await startOwn(t, [{ address: anyPort }], { guard })
    const key = { 'x-proxy-key': 'a secret of 16 or more' }
    for (const [fields, status] of [
      [{ ...key }, 200],
      [{}, 401],
      [{ ...key, host: 'evil.example' }, 421],
      [{ ...key, origin: 'https://evil.example' }, 403],
      [{ ...key, origin: ownUrl }, 200],
      [{ ...key, 'sec-fetch-site': 'cross-site' }, 403],
    ] as const) {
      for (const path of ['/v8/Jobs', '/-/livez']) {
        assert.equal((await get(ownUrl, path, fields)).status, status, `${path} ${JSON.stringify(fields)}`)
      }
    }
    assert.equal(requests.length, 4)
  })

  test('keeps the paths that hand out credentials back', async t => {
    const scripted = await startScripted(t, {})
    const { server } = await startProxy(t, [
      applianceAt(scripted, 'azure', { signIn: 'deny', ...own({ address: anyPort }) }),
    ])
    const [url = ''] = ownUrls(server)
    const reply = await call(url, { method: 'POST', path: '/api//OAuth2/Token/', body: 'grant_type=password' })
    assert.deepEqual([reply.status, reply.json.get('code')], [403, 'CREDENTIALS_WITHHELD'])
  })

  test('gives answers whose links lead to itself', async t => {
    const azure = await simulate(t, { product: 'azure' })
    const tenant = await simulate(t, { product: 'microsoft365' })
    const { server } = await startProxy(t, [
      applianceAt(azure, 'azure', own({ address: anyPort })),
      applianceAt(tenant, 'microsoft365', { name: 'tenant', ...own({ address: anyPort }) }),
    ])
    const [url = ''] = ownUrls(server)
    const absolute = await get(url, '/api/v8.1/policies?limit=2')
    assert.match(absolute.text, new RegExp(`"href":"${url}/api/v8\\.1/policies\\?`))
    assert.ok(!absolute.text.includes(azure.url))
    const [rootedUrl = ''] = ownUrls(server, 'tenant')
    const rooted = await get(rootedUrl, '/v8/Jobs?limit=2')
    assert.match(rooted.text, /"href":"\/v8\/Jobs\?/i)
    assert.equal(Number(rooted.fields['content-length']), rooted.body.length, 'nothing had to be rewritten')
  })

  test('is shown by the status page and the log', async t => {
    const { proxyUrl, ownUrl, lines } = await startOwn(t, [{ address: anyPort }])
    assert.deepEqual((await statusOf(proxyUrl)).get('servedAt'), [`${proxyUrl}/box/`, `${ownUrl}/`])
    assert.deepEqual((await statusOf(proxyUrl, 'other')).get('servedAt'), [`${proxyUrl}/other/`])
    assert.ok(lines.some(line => line.includes(`"msg":"box is served at ${ownUrl}"`)))
    const status = await runCli(['status', '--url', proxyUrl])
    assert.match(status.stdout, new RegExp(`^box is served at ${proxyUrl}/box/ and ${ownUrl}/$`, 'm'))
    assert.doesNotMatch(status.stdout, /other is served/)
  })

  test('lets a request in flight finish at the shutdown, and takes no further one', async t => {
    const simulator = await simulate(t, { product: 'azure' })
    const { server } = await startProxy(t, [applianceAt(simulator, 'azure', own({ address: anyPort }))])
    const [url = ''] = ownUrls(server)
    const inFlight = get(url, `${simulatorRoot.azure}/slow?ms=1000`)
    await eventually('in flight', () => simulator.counts.requests === 1)
    const closed = server.close(15_000)
    await eventually('closed to others', async () => {
      const refused = await get(url, '/x').catch(error => error)
      return refused instanceof Error
    })
    assert.equal((await inFlight).status, 200)
    await closed
    assert.equal(simulator.counts.signOuts, 1)
  })

  test('that cannot be had is named at the start, and nothing else is listened on', async t => {
    const taken = createServer().listen(0, '127.0.0.1')
    t.after(() => taken.close())
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const socket = join(temporaryFolder(t).path, 'box.sock')
    const scripted = await startScripted(t, {})
    const listens = own({ address: { path: socket } }, { address: { host: '127.0.0.1', port } })
    await assert.rejects(
      startProxy(t, [applianceAt(scripted, 'azure', listens)]),
      new RegExp(`^ListenError: box: 127\\.0\\.0\\.1:${port} is taken by another process$`),
    )
    await eventually('the socket is gone', () => statSync(socket, { throwIfNoEntry: false }) === undefined)
    assert.equal(scripted.tokenRequests.length, 0)
  })
})

describe('a listener of its own with tls: auto', { concurrency: 3 }, () => {
  test('shows certificates for the loopback names and NAME.localhost, which renew themselves', async t => {
    const life = 6_000
    const { ownUrl, authorityDirectory } = await startOwn(t, [{ address: anyPort, tls: 'auto' }], {
      certificateLife: life,
    })
    const first = await certificateAt(ownUrl)
    for (const name of ['DNS:localhost', 'IP Address:127.0.0.1', 'IP Address:0:0:0:0:0:0:0:1', 'DNS:box.localhost'])
      assert.ok(first.subjectaltname?.split(', ').includes(name), name)
    await eventually(
      'another certificate',
      async () => (await certificateAt(ownUrl)).serialNumber !== first.serialNumber,
    )
    assert.equal((await ask(ownUrl, { ca: ca(authorityDirectory), servername: 'box.localhost' })).status, 200)
  })

  test('is trusted by what trust-local prints, and the key of its authority is for the owner of the state only', async t => {
    const simulator = await simulate(t, { product: 'azure' })
    for (const place of ['state', 'account'] as const) {
      const folder = temporaryFolder(t)
      const entry = `${entryOf('box', 'azure', simulator)}    listen: { address: 0, tls: auto }\n`
      const state = place === 'state' ? "stateDirectory: state\nstateKey: 'long enough to be a state key'\n" : ''
      folder.write('appliances.yaml', `${state}appliances:\n${entry}`)
      const given = { cwd: folder.path, env: { XDG_STATE_HOME: join(folder.path, 'home'), PORT: '0' } }
      const served = startCli(t, ['serve'], given)
      await eventually('it serves', () => /box is served at.*listening on/s.test(served.text()))
      const [, url = ''] = /box is served at (https:[^"]+)/.exec(served.text()) ?? []
      const { stdout } = await runCli(['trust-local'], given)
      const [, file = '', pem = ''] = /^([^\n]*)\n\n(-----BEGIN.*END CERTIFICATE-----\n)/s.exec(stdout) ?? []
      const directory = join(folder.path, place === 'state' ? 'state' : 'home/veeam-auth-proxy')
      assert.equal(file, join(directory, 'local-ca.pem'))
      assert.equal(statSync(join(directory, 'local-ca.key')).mode & 0o777, 0o600)
      await eventually('served', async () => {
        const answer = await ask(url, { ca: pem, servername: 'localhost', path: '/api/v8.1/policies?limit=1' })
        return answer.status === 200
      })
      served.stop()
      assert.equal(await served.ended, 0)
    }
  })
})

test('check says where an appliance is served, and refuses listeners that want the same address', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const folder = temporaryFolder(t)
  const entry = entryOf('box', 'azure', simulator)
  folder.write(
    'good.yaml',
    `appliances:\n${entry}    listen: [9000, { address: '[::1]:9001', tls: auto }, 'unix:a.sock']\n`,
  )
  const good = await runCli(['check', '--config', 'good.yaml'], { cwd: folder.path })
  const where = `box is served at http://127.0.0.1:8080/box/ and http://127.0.0.1:9000/ and https://[::1]:9001/ and unix:${folder.path}/a.sock:/`
  assert.ok(good.stdout.includes(`\n${where}\n`), good.stdout)
  folder.write('bad.yaml', `appliances:\n${entry}    listen: 8080\n`)
  const bad = await runCli(['check', '--config', 'bad.yaml'], { cwd: folder.path })
  assert.equal(bad.exitCode, 2)
  assert.match(
    bad.stderr,
    /bad\.yaml:\d+:13: appliances\.box\.listen: 127\.0\.0\.1:8080 is taken by listen \(.*\)\. Choose/,
  )
})
