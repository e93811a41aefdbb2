import assert from 'node:assert/strict'
import { chdir, cwd } from 'node:process'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { type ApplianceConfiguration, masked, readConfiguration } from '../src/config/configuration.ts'
import { createCertificate } from '../src/simulator/certificate.ts'
import { temporaryFolder } from './configuration-folder.ts'

const PASSWORD = 'Zq7-in-the-environment'
const env = { PASSWORD, CODE: '4/0A+code/with=signs' }

const yaml = `
listen: '[::1]:9090'
appliances:
  tenant:
    product: microsoft365
    url: https://Backup.example:4443/
    credentials: { username: Administrator, password: { env: PASSWORD } }
    antiforgery: { echo: [{ cookie: XSRF, field: x-xsrf-token }] }
    tls: { ca: ./ca.pem }
  gcp:
    product: google-cloud
    url: https://203.0.113.5:13140
    credentials: { authorizationCode: { env: CODE } }
    tls: { fingerprint: ${'ab'.repeat(32)} }
  a-1:
    product: azure
    url: http://127.8.0.1:8080
    credentials:
      username: DOMAIN\\name
      password: 'Zq7 # in: the file'
      totp: { file: totp.txt }
    tls: { verify: false }
`

test('a configuration is read with its defaults, its origins and fingerprints in one form', async t => {
  const folder = temporaryFolder(t)
  const { cert } = await createCertificate()
  folder.write('ca.pem', `Bag attributes\r\n${cert}`)
  folder.write('totp.txt', 'JBSWY3DPEHPK3PXP\n')
  const source = folder.write('appliances.yaml', yaml)
  const configuration = await readConfiguration(source, env)

  assert.deepEqual(configuration.listen.address, { host: '::1', port: 9090 })
  assert.equal(configuration.mount, 'prefix')
  assert.equal(configuration.source, source)
  const [tenant, gcp, azure] = configuration.appliances
  assert.deepEqual(
    configuration.appliances.map(({ name, product, url }) => [name, product.name, url]),
    [
      ['tenant', 'microsoft365', 'https://backup.example:4443'],
      ['gcp', 'google-cloud', 'https://203.0.113.5:13140'],
      ['a-1', 'azure', 'http://127.8.0.1:8080'],
    ],
  )
  assert.deepEqual(tenant?.options, {
    apiVersion: 'v8',
    antiforgery: { echo: [{ cookie: 'XSRF', field: 'x-xsrf-token' }] },
  })
  assert.deepEqual(gcp?.options, { shortTermRefresh: false })
  assert.deepEqual(azure?.options, {})
  assert.deepEqual(tenant?.tls, { ca: `${cert.trim()}\n`, verify: true })
  assert.deepEqual(gcp?.tls, { fingerprint: 'AB:'.repeat(32).slice(0, -1), verify: true })
  assert.deepEqual(azure?.tls, { verify: false })
  assert.deepEqual(await revealed(tenant), ['Administrator', PASSWORD])
  assert.deepEqual(await revealed(gcp), [env.CODE])
  assert.deepEqual(await revealed(azure), ['DOMAIN\\name', 'Zq7 # in: the file', 'JBSWY3DPEHPK3PXP'])
})

async function revealed(appliance: ApplianceConfiguration | undefined): Promise<unknown[]> {
  assert.ok(appliance)
  const { credentials } = appliance
  if (credentials.type === 'authorization_code') return [await credentials.code.reveal()]
  const { username, password, totp } = credentials
  return [username, await password.reveal(), ...(totp ? [await totp.reveal()] : [])]
}

test('without listen the proxy listens on 127.0.0.1:8080', async t => {
  const folder = temporaryFolder(t)
  const file = folder.write('a.yaml', yaml.replace(/listen.*/, '').replace(/ {4}tls:.*ca.pem.*/, ''))
  folder.write('totp.txt', 'JBSWY3DPEHPK3PXP\n')
  assert.deepEqual((await readConfiguration(file, env)).listen.address, { host: '127.0.0.1', port: 8080 })
})

const one = {
  product: 'azure',
  url: 'https://a.example',
  credentials: { username: 'admin', password: { env: 'PASSWORD' } },
}

const forms: readonly { form: string; text: string }[] = [
  { form: 'JSON', text: JSON.stringify({ appliances: { one, two: one } }) },
  { form: 'JSON indented with tabs', text: JSON.stringify({ appliances: { one, two: one } }, null, '\t') },
  { form: 'a file with a byte order mark', text: `\uFEFF${JSON.stringify({ appliances: { one, two: one } })}` },
  { form: 'a file with CRLF', text: `appliances:\r\n  one: &one ${JSON.stringify(one)}\r\n  two: *one\r\n` },
  {
    form: 'a file with anchors and merged maps',
    text: `appliances:\n  one: &one ${JSON.stringify(one)}\n  two:\n    <<: *one\n    url: https://a.example\n`,
  },
]
for (const { form, text } of forms) {
  test(`${form} is accepted as a configuration, and two appliances may share a url`, async t => {
    const folder = temporaryFolder(t)
    const { appliances } = await readConfiguration(folder.write('appliances.yaml', text), env)
    assert.deepEqual(
      appliances.map(({ name, url }) => [name, url]),
      [
        ['one', 'https://a.example'],
        ['two', 'https://a.example'],
      ],
    )
  })
}

test('files are looked for beside the configuration file, and its name in messages is the one given', async t => {
  const folder = temporaryFolder(t)
  folder.write('password', 'Zq7-from-a-file\n')
  const text = JSON.stringify({
    appliances: { one: { ...one, credentials: { username: 'a', password: { file: './password' } } } },
  })
  folder.write('good.yaml', text)
  folder.write('bad.yaml', text.replace('./password', './nothing'))
  const before = cwd()
  chdir('/')
  t.after(() => chdir(before))
  const { appliances, source } = await readConfiguration('good.yaml', {}, folder.path)
  assert.equal(source, `${folder.path}/good.yaml`)
  assert.deepEqual(await revealed(appliances[0]), ['a', 'Zq7-from-a-file'])
  await assert.rejects(readConfiguration('bad.yaml', {}, folder.path), /^ConfigurationError: bad\.yaml:1:/)
})

test('the program of a secret is not run when the configuration is read', async t => {
  const folder = temporaryFolder(t)
  const password = { command: ['false'] }
  const text = JSON.stringify({ appliances: { one: { ...one, credentials: { username: 'a', password } } } })
  const { appliances } = await readConfiguration(folder.write('a.yaml', text), {})
  await assert.rejects(revealed(appliances[0]), /command false ended with status 1/)
})

test('no way of printing a configuration shows a secret, and the masked one names its source', async t => {
  const folder = temporaryFolder(t)
  folder.write('ca.pem', (await createCertificate()).cert)
  folder.write('totp.txt', 'JBSWY3DPEHPK3PXP\n')
  const configuration = await readConfiguration(folder.write('appliances.yaml', yaml), env)
  const printed = [
    JSON.stringify(masked(configuration)),
    JSON.stringify(configuration),
    inspect(configuration, { depth: 20, showHidden: true }),
    String(configuration.appliances.map(({ credentials }) => Object.values(credentials))),
  ]
  for (const text of printed) {
    assert.match(text, /\[redacted\]/)
    assert.doesNotMatch(text, /Zq7|JBSWY3DP|4\/0A/)
  }
  assert.deepEqual(masked(configuration), {
    source: `${folder.path}/appliances.yaml`,
    listen: '[::1]:9090',
    mount: 'prefix',
    appliances: {
      tenant: {
        product: 'microsoft365',
        url: 'https://backup.example:4443',
        apiVersion: 'v8',
        antiforgery: { echo: [{ cookie: 'XSRF', field: 'x-xsrf-token' }] },
        credentials: { username: 'Administrator', password: '[redacted] from environment variable PASSWORD' },
        tls: { ca: 'certificates: 1', verify: true },
      },
      gcp: {
        product: 'google-cloud',
        url: 'https://203.0.113.5:13140',
        shortTermRefresh: false,
        credentials: { code: '[redacted] from environment variable CODE' },
        tls: { fingerprint: 'AB:'.repeat(32).slice(0, -1), verify: true },
      },
      'a-1': {
        product: 'azure',
        url: 'http://127.8.0.1:8080',
        credentials: {
          username: 'DOMAIN\\name',
          password: '[redacted] from the configuration itself',
          totp: `[redacted] from file ${folder.path}/totp.txt`,
        },
        tls: { verify: false },
      },
    },
  })
})
