import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import type { TrustConfiguration } from '../src/config/configuration.ts'
import { createCertificate, type Simulator, type SimulatorOptions } from '../src/simulator/index.ts'
import { get, statusOf } from './caller.ts'
import { entryOf, runCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { applianceAt, type Context, eventually, sharedCertificate, simulate, startProxy } from './rig.ts'

async function start(
  t: Context,
  trust: (simulator: Simulator) => TrustConfiguration,
  options: Partial<SimulatorOptions> = {},
) {
  const simulator = await simulate(t, { product: 'azure', ...options })
  const { url, server } = await startProxy(t, [applianceAt(simulator, 'azure', { tls: trust(simulator) })])
  const live = () => eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { simulator, url, server, live }
}

/** One that began a day before the given number of days from now, and ends then. */
function endingIn(days: number) {
  return createCertificate({ notBefore: new Date(Date.now() + (days - 10) * 86_400_000 + 3_600_000), days: 10 })
}

const day = 86_400_000

describe('the certificate of an appliance', { concurrency: 6 }, () => {
  for (const [how, trust, said] of [
    ['an authority', ({ certificate }: Simulator) => ({ verify: true, ca: certificate }), 'own authority'],
    ['a pin', ({ fingerprint }: Simulator) => ({ verify: true, fingerprint }), 'pinned'],
    ['nothing', () => ({ verify: false }), 'not verified'],
  ] as const) {
    test(`is in the status with its end and the days left, and so is that ${how} vouches for it`, async t => {
      const certificate = await endingIn(5)
      const { url, live, simulator } = await start(t, trust, { certificate })
      await live()
      const status = await statusOf(url)
      const shown: unknown = status.get('certificate')
      assert.ok(typeof shown === 'object' && shown !== null && 'validTo' in shown && 'daysLeft' in shown)
      const { validTo, ...rest } = shown
      assert.deepEqual(rest, { fingerprint: simulator.fingerprint, daysLeft: 5 })
      assert.ok(Math.abs(Date.parse(String(validTo)) - Date.now() - 5 * day) < day)
      assert.equal(status.get('trust'), said)
      const { stdout } = await runCli(['status', '--url', url])
      assert.match(stdout, /\nbox: its certificate ends in 5 days, on 20\d\d-/)
      assert.equal(/box: its certificate is not verified \(tls\.verify is false\)/.test(stdout), how === 'nothing')
    })
  }

  test('that has ended, where nothing is verified, has less than no days left', async t => {
    const certificate = await endingIn(-3)
    const { url, live } = await start(t, () => ({ verify: false }), { certificate })
    await live()
    const { stdout } = await runCli(['status', '--url', url])
    assert.match(JSON.stringify((await statusOf(url)).get('certificate')), /"daysLeft":-3/)
    assert.match(stdout, /\nbox: its certificate has ended on 20\d\d-/)
  })

  test('is not in the status where there was none to trust, or no TLS', async t => {
    const untrusted = await start(t, () => ({ verify: true }))
    await eventually('an attempt', async () => (await statusOf(untrusted.url)).get('lastError') !== null)
    const plain = await start(t, () => ({ verify: true }), { http: true })
    await plain.live()
    const seen = await Promise.all([untrusted, plain].map(({ url }) => statusOf(url)))
    assert.deepEqual(
      seen.map(status => [status.get('trust'), status.get('certificate')]),
      [
        ['verified', null],
        ['no TLS', null],
      ],
    )
  })

  test('stays in the status over a reload, and is the new one after it was renewed', async t => {
    const { url, live, server, simulator } = await start(t, () => ({ verify: false }))
    await live()
    const fingerprint = async () => JSON.stringify((await statusOf(url)).get('certificate'))
    const before = simulator.fingerprint
    await server.reload()
    assert.ok((await fingerprint()).includes(before))
    await simulator.rotateCertificate()
    await get(url, '/box/x')
    assert.ok((await fingerprint()).includes(simulator.fingerprint))
  })

  test('that is not verified is warned of at every start and every reload', async t => {
    const simulator = await simulate(t, { product: 'azure' })
    const folder = temporaryFolder(t)
    const write = (name: string) =>
      folder.write('appliances.yaml', `appliances:\n${entryOf(name, 'azure', simulator, { tls: '{ verify: false }' })}`)
    const warning = (name: string) =>
      new RegExp(
        `"level":40[^\\n]*"msg":"${name}: tls.verify is false, so whoever stands between can take the password"`,
      )
    write('blind')
    for (let i = 0; i < 2; i++) {
      const { text, stop, ended } = startCli(t, ['serve', '--port', '0'], { cwd: folder.path })
      await eventually('it serves', () => text().includes('listening on'))
      assert.match(text(), warning('blind'))
      if (i === 0) {
        stop()
        await ended
        continue
      }
      await sleep(100)
      write('other')
      await eventually('the reload warns too', () => warning('other').test(text()))
    }
  })
})

test('an appliance that speaks no newer TLS than 1.1 gets nothing, whatever Node.js is told to allow', async t => {
  const { cert, key } = await sharedCertificate()
  const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls
  tls.DEFAULT_MIN_VERSION = 'TLSv1'
  tls.DEFAULT_CIPHERS = 'DEFAULT@SECLEVEL=0'
  t.after(() => Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS }))
  let handshakes = 0
  const server = tls.createServer({ cert, key, maxVersion: 'TLSv1.1' }, socket => {
    handshakes += 1
    socket.on('error', () => {})
    socket.end()
  })
  server.on('tlsClientError', () => {})
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const socket = tls.connect({ port, host: '127.0.0.1', ca: cert })
  await once(socket, 'secureConnect')
  assert.deepEqual([socket.getProtocol(), handshakes], ['TLSv1.1', 1], 'others would speak with it')
  socket.destroy()
  for (const trust of [{ verify: true, ca: cert }, { verify: false }, { verify: true, fingerprint: 'AA' }]) {
    const box = applianceAt({ url: `https://127.0.0.1:${port}`, certificate: cert }, 'azure', { tls: trust })
    const { url } = await startProxy(t, [box])
    await eventually('an attempt', async () => (await statusOf(url)).get('lastError') !== null)
    assert.equal((await get(url, '/box/x')).json.get('reason'), 'APPLIANCE_UNREACHABLE')
  }
  assert.equal(handshakes, 1)
})
