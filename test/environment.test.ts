import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigurationError, masked } from '../src/config/configuration.ts'
import { readSettings } from '../src/config/env.ts'
import { loadConfiguration } from '../src/config/load.ts'
import { configurationFromEnvironment } from '../src/config/single.ts'
import { printed } from '../src/listen/address.ts'
import { createCertificate } from '../src/simulator/certificate.ts'
import { temporaryFolder } from './configuration-folder.ts'

const PASSWORD = 'Hn5-in-the-environment'
const single = {
  VEEAM_PRODUCT: 'microsoft365',
  VEEAM_URL: 'https://backup.example:4443',
  VEEAM_USERNAME: 'Administrator',
  VEEAM_PASSWORD: PASSWORD,
}

const yaml = `
listen: 127.0.0.1:1111
appliances:
  one: { product: azure, url: 'https://a.example', credentials: { username: a, password: { env: PASSWORD } } }
`

async function linesOf(promise: Promise<unknown>): Promise<string[]> {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof ConfigurationError)
    assert.doesNotMatch(error.message, /Hn5/)
    return error.message.split('\n')
  }
  assert.fail('the configuration was accepted')
}

test('one appliance can be given by the environment alone, and is then served at /', async () => {
  const configuration = await loadConfiguration({}, single)
  assert.deepEqual(masked(configuration), {
    source: 'environment',
    listen: '127.0.0.1:8080',
    mount: 'root',
    appliances: {
      appliance: {
        product: 'microsoft365',
        url: 'https://backup.example:4443',
        apiVersion: 'v8',
        antiforgery: 'cookies',
        credentials: { username: 'Administrator', password: '[redacted] from environment variable VEEAM_PASSWORD' },
        tls: { verify: true },
      },
    },
  })
})

test('every VEEAM_ variable counts', async t => {
  const folder = temporaryFolder(t)
  const { cert } = await createCertificate()
  const files = {
    VEEAM_PASSWORD: '',
    VEEAM_PASSWORD_FILE: folder.write('password', `${PASSWORD}\n`),
    VEEAM_TOTP_FILE: folder.write('totp', 'JBSWY3DPEHPK3PXP'),
    VEEAM_TLS_CA: folder.write('ca.pem', cert),
  }
  const env = { ...single, ...files, VEEAM_PRODUCT: 'google-cloud', VEEAM_API_VERSION: '1.5-rev0' }
  const [appliance] = (await configurationFromEnvironment(env))?.appliances ?? []
  assert.ok(appliance?.credentials.type === 'password')
  assert.equal(await appliance.credentials.password.reveal(), PASSWORD)
  assert.equal(await appliance.credentials.totp?.reveal(), 'JBSWY3DPEHPK3PXP')
  assert.equal(appliance.options.apiVersion, '1.5-rev0')
  assert.equal(appliance.tls.ca, `${cert.trim()}\n`)
  const pinned = await configurationFromEnvironment({ ...single, VEEAM_TLS_FINGERPRINT: 'ab'.repeat(32) })
  assert.equal(pinned?.appliances[0]?.tls.fingerprint, 'AB:'.repeat(32).slice(0, -1))
})

test('without VEEAM_PRODUCT and VEEAM_URL the environment describes no appliance', async () => {
  assert.equal(await configurationFromEnvironment({}), undefined)
  assert.equal(await configurationFromEnvironment({ VEEAM_PRODUCT: '', VEEAM_PASSWORD: PASSWORD }), undefined)
})

const mistakes: readonly { mistake: string; change: Record<string, string>; line: RegExp }[] = [
  {
    mistake: 'no VEEAM_PRODUCT',
    change: { VEEAM_PRODUCT: '' },
    line: /^environment: VEEAM_PRODUCT: .* not set\. Set VEEAM_PRODUCT\.$/,
  },
  { mistake: 'no VEEAM_URL', change: { VEEAM_URL: '' }, line: /^environment: VEEAM_URL: .* Set VEEAM_URL\.$/ },
  { mistake: 'no VEEAM_USERNAME', change: { VEEAM_USERNAME: '' }, line: /Set VEEAM_USERNAME\.$/ },
  {
    mistake: 'no password',
    change: { VEEAM_PASSWORD: '' },
    line: /^environment: VEEAM_PASSWORD: .* Set VEEAM_PASSWORD or VEEAM_PASSWORD_FILE\.$/,
  },
  {
    mistake: 'an unknown product',
    change: { VEEAM_PRODUCT: 'azzure' },
    line: /^environment: VEEAM_PRODUCT: .* Did you mean "azure"\?/,
  },
  {
    mistake: 'an api version for a product without one',
    change: { VEEAM_PRODUCT: 'azure', VEEAM_API_VERSION: 'v8' },
    line: /^environment: VEEAM_API_VERSION: this product has no key "apiVersion"\. Remove it/,
  },
  {
    mistake: 'an api version in another form',
    change: { VEEAM_API_VERSION: '8' },
    line: /^environment: VEEAM_API_VERSION: .* such as v8\.$/,
  },
  {
    mistake: 'a url over http',
    change: { VEEAM_URL: 'http://backup.example' },
    line: /^environment: VEEAM_URL: .* Write https:\/\/backup\.example\.$/,
  },
  {
    mistake: 'two passwords',
    change: { VEEAM_PASSWORD_FILE: '/nowhere' },
    line: /^environment: VEEAM_PASSWORD: VEEAM_PASSWORD and VEEAM_PASSWORD_FILE are both set\. Unset one/,
  },
  {
    mistake: 'two ways of trust',
    change: { VEEAM_TLS_CA: '/nowhere', VEEAM_TLS_FINGERPRINT: 'ab'.repeat(32) },
    line: /^environment: VEEAM_TLS_CA: VEEAM_TLS_CA and VEEAM_TLS_FINGERPRINT are both set\. Unset one/,
  },
  {
    mistake: 'a password file that does not exist',
    change: { VEEAM_PASSWORD: '', VEEAM_PASSWORD_FILE: '/nowhere' },
    line: /^environment: VEEAM_PASSWORD_FILE: secret file \/nowhere does not exist\. Create it/,
  },
]
for (const { mistake, change, line } of mistakes) {
  test(`${mistake} in the environment is told with the variable and remedy`, async () => {
    const lines = await linesOf(configurationFromEnvironment({ ...single, ...change }))
    assert.equal(lines.length, 1, lines.join('\n'))
    assert.match(lines[0] ?? '', line)
  })
}

test('a half-given appliance is told with everything that is missing', async () => {
  const lines = await linesOf(loadConfiguration({}, { VEEAM_URL: 'https://backup.example' }))
  assert.deepEqual(
    lines.map(line => line.split(': ')[1]),
    ['VEEAM_PRODUCT', 'VEEAM_USERNAME', 'VEEAM_PASSWORD'],
  )
})

test('a flag wins over the environment, and the environment over the file', async t => {
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', yaml)
  folder.write('named.yaml', yaml.replace('one:', 'named:'))
  folder.write('flag.yaml', yaml.replace('one:', 'flag:'))
  const load = async (flags: Parameters<typeof loadConfiguration>[0], env: Record<string, string>) => {
    const { listen, appliances } = await loadConfiguration(flags, { PASSWORD, ...env }, folder.path)
    return `${printed(listen.address).replace(/:(\d+)$/, ' $1')} ${appliances[0]?.name}`
  }
  const env = { HOST: '127.0.0.2', PORT: '2222', CONFIG: 'named.yaml' }
  const flags = { host: '127.0.0.3', port: '3333', config: 'flag.yaml' }
  assert.equal(await load({}, {}), '127.0.0.1 1111 one')
  assert.equal(await load({}, env), '127.0.0.2 2222 named')
  assert.equal(await load(flags, env), '127.0.0.3 3333 flag')
  assert.equal(await load({ port: '0' }, { HOST: '[::1]' }), '[::1] 0 one')
  assert.equal(await load({ host: '[::1]' }, { PORT: '', HOST: '', CONFIG: '' }), '[::1] 1111 one')
  assert.equal(await load({}, { ...single, PORT: '4444' }), '127.0.0.1 4444 appliance')
})

test('a file that is named beside an appliance in the environment is a mistake that says which to remove', async t => {
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', yaml)
  const flag = await linesOf(loadConfiguration({ config: 'appliances.yaml' }, { PASSWORD, ...single }, folder.path))
  assert.match(
    flag.join('\n'),
    /^command line: --config: .* Leave --config out, or unset VEEAM_PRODUCT and VEEAM_URL\.$/,
  )
  const env = { PASSWORD, ...single, CONFIG: 'appliances.yaml' }
  const variable = await linesOf(loadConfiguration({}, env, folder.path))
  assert.match(
    variable.join('\n'),
    /^environment: CONFIG: .* Leave CONFIG out, or unset VEEAM_PRODUCT and VEEAM_URL\.$/,
  )
})

test('flags that do not fit are told together with their remedies', async () => {
  const lines = await linesOf(loadConfiguration({ host: 'a b', port: '80800' }, single))
  assert.match(lines[0] ?? '', /^command line: --host: .* such as 127\.0\.0\.1/)
  assert.match(lines[1] ?? '', /^command line: --port: .* from 0 to 65535/)
})

test('variables of the process that do not fit are told together with their remedies', async () => {
  const read = readSettings({ PORT: 'http', LOG_LEVEL: 'loud', HOST: 'http://x', CONFIG: 'x.yaml' })
  await assert.rejects(read, (error: Error) => {
    assert.match(
      error.message,
      /^environment: PORT: .* Set it to the port to listen on, from 0 to 65535, or unset it\.$/m,
    )
    assert.match(error.message, /^environment: LOG_LEVEL: .* one of trace, debug, info/m)
    assert.match(error.message, /^environment: HOST: .* such as 127\.0\.0\.1/m)
    assert.equal(error.message.split('\n').length, 3)
    return true
  })
})

test('settings come from the environment that is given, and never from that of the process', async t => {
  process.env.LOG_LEVEL = 'fatal'
  t.after(() => {
    delete process.env.LOG_LEVEL
  })
  assert.deepEqual(await readSettings({}), { config: 'appliances.yaml', logLevel: 'info' })
  assert.deepEqual(await readSettings({ PORT: '0', HOST: '[::1]', LOG_LEVEL: 'trace', CONFIG: '/etc/a.yaml' }), {
    config: '/etc/a.yaml',
    logLevel: 'trace',
    host: '::1',
    port: 0,
  })
})
