import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ConfigurationError } from '../src/config/configuration.ts'
import { loadConfiguration } from '../src/config/load.ts'
import { call } from './caller.ts'
import { entryOf, runCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, sharedCertificate, simulate } from './rig.ts'

const appliances = `appliances:
  one:
    product: azure
    url: https://backup.example
    credentials: { username: admin, password: { env: PASSWORD } }
`
const callers = 'callers: [{ name: a, secret: the-secret-of-a-caller }]\n'
const tls = (address: string) => `listen: { address: '${address}', tls: { cert: proxy.pem, key: proxy.key } }\n`

async function load(t: TestContext, text: string, { host, env = {} }: { host?: string; env?: object } = {}) {
  const folder = temporaryFolder(t)
  const { cert, key } = await sharedCertificate()
  folder.write('proxy.pem', cert)
  folder.write('proxy.key', key)
  const config = folder.write('appliances.yaml', text + appliances)
  return loadConfiguration({ config, host }, { PASSWORD: 'x', ...env })
}

const refusal = (said: RegExp) => (error: Error) => {
  assert.ok(error instanceof ConfigurationError, String(error))
  assert.equal(error.mistakes.length, 1, error.message)
  assert.match(error.message, said)
  assert.match(error.message, /allowInsecureListen: true takes the risk/)
  return true
}

test('other addresses than the loopback are refused where nobody has to prove who calls, however they are given', async t => {
  const nobody = /can be reached from other machines, where nobody has to prove who calls/
  for (const address of ['0.0.0.0:80', '[::]:80', '192.0.2.7:80', 'proxy.example:80', '[::ffff:127.0.0.1]:80']) {
    await assert.rejects(load(t, `listen: '${address}'\n`), refusal(nobody), address)
    await assert.rejects(load(t, tls(address)), refusal(nobody), `${address} with TLS`)
  }
  await assert.rejects(load(t, '', { host: '0.0.0.0' }), refusal(nobody), '--host')
  await assert.rejects(load(t, '', { env: { HOST: '::' } }), refusal(nobody), 'HOST')
  await assert.rejects(
    load(t, 'listen: unix:proxy.sock\n', { host: '0.0.0.0' }),
    refusal(nobody),
    'instead of a socket',
  )
  const single = { VEEAM_PRODUCT: 'azure', VEEAM_URL: 'https://a.example', VEEAM_USERNAME: 'a', VEEAM_PASSWORD: 'b' }
  await assert.rejects(loadConfiguration({}, { ...single, HOST: '0.0.0.0' }, '/'), refusal(nobody), 'no file')
})

test('with callers they are refused as long as there is no TLS, and with both they are not', async t => {
  const clear = /can be reached from other machines, without TLS/
  await assert.rejects(load(t, `listen: 0.0.0.0:80\n${callers}`), refusal(clear))
  await assert.rejects(load(t, callers, { host: '192.0.2.7' }), refusal(clear))
  const { listen, warnings } = await load(t, tls('0.0.0.0:80') + callers)
  assert.deepEqual([listen.address, warnings], [{ host: '0.0.0.0', port: 80 }, []])
})

test('allowInsecureListen takes the risk in as many words, and is warned of', async t => {
  for (const [text, env] of [
    ['listen: 0.0.0.0:80\nallowInsecureListen: true\n', {}],
    ['listen: 0.0.0.0:80\n', { ALLOW_INSECURE_LISTEN: 'true' }],
  ] as const) {
    const { listen, warnings } = await load(t, text, { env })
    assert.deepEqual(listen.address, { host: '0.0.0.0', port: 80 })
    assert.match(warnings.join(), /allowInsecureListen is true: other machines may reach the proxy/)
  }
  await assert.rejects(load(t, 'listen: 0.0.0.0:80\nallowInsecureListen: false\n'), ConfigurationError)
})

test('the loopback and Unix sockets need nothing of that', async t => {
  for (const address of ['127.0.0.1:0', '127.8.9.1:0', "'[::1]:0'", 'localhost:0', 'unix:proxy.sock'])
    assert.deepEqual((await load(t, `listen: ${address}\n`)).warnings, [], address)
})

test('serve ends with exit code 2 before it listens, and a reload to such an address is refused', async t => {
  const folder = temporaryFolder(t)
  const simulator = await simulate(t, { product: 'azure' })
  const entries = `appliances:\n${entryOf('box', 'azure', simulator)}`
  folder.write('appliances.yaml', `listen: 0.0.0.0:0\n${entries}`)
  const { exitCode, stderr } = await runCli(['serve'], { cwd: folder.path })
  assert.equal(exitCode, 2)
  assert.match(stderr, /0\.0\.0\.0:0 can be reached from other machines/)
  assert.equal(simulator.counts.tokenRequests, 0)

  folder.write('appliances.yaml', `listen: 127.0.0.1:0\n${entries}`)
  const { text } = startCli(t, ['serve'], { cwd: folder.path })
  await eventually('it serves', () => text().includes('listening on'))
  const [, url = ''] = /listening on (http[^"]+)/.exec(text()) ?? []
  folder.write('appliances.yaml', `listen: 0.0.0.0:0\n${entries}`)
  const reply = await call(url, { method: 'POST', path: '/-/reload' })
  assert.deepEqual([reply.status, reply.json.get('code')], [422, 'CONFIGURATION_REFUSED'])
  assert.equal((await call(url, { path: '/-/livez' })).status, 200)
})
