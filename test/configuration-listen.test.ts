import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ConfigurationError } from '../src/config/configuration.ts'
import { loadConfiguration } from '../src/config/load.ts'
import { products } from '../src/dialects/index.ts'
import { printed } from '../src/listen/address.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { sharedCertificate } from './rig.ts'

const CALLERS = "callers: [{ name: tool, secret: 'a secret of 16 or more' }]\n"

interface Given {
  product?: string
  top?: string
  /** Of a second appliance. */
  other?: string
  env?: Record<string, string>
}

/** Loads a configuration whose appliance `box` has this `listen`. */
async function load(t: TestContext, listen: string, { product = 'azure', top = '', other, env = {} }: Given = {}) {
  const folder = temporaryFolder(t)
  const { cert, key } = await sharedCertificate()
  folder.write('proxy.pem', cert)
  folder.write('proxy.key', key)
  const version = product === 'azure' ? '' : `    apiVersion: ${product === 'microsoft365' ? 'v8' : '1.4-rev0'}\n`
  const entry = (name: string, kind: string, value: string) =>
    `  ${name}:\n    product: ${kind}\n    url: https://backup.example\n    credentials: { username: a, password: b }\n    listen: ${value}\n`
  const text = `${top}appliances:\n${entry('box', product, listen)}${version}${other === undefined ? '' : entry('other', 'azure', other)}`
  folder.write('a.yaml', text)
  const configuration = await loadConfiguration({ config: 'a.yaml' }, env, folder.path)
  const [box] = configuration.appliances
  assert.ok(box)
  return { ...configuration, folder: folder.path, box }
}

async function mistakeIn(t: TestContext, listen: string, given: Given = {}): Promise<string> {
  const error = await load(t, listen, given).catch((thrown: unknown) => thrown)
  assert.ok(error instanceof ConfigurationError, `${listen} is refused`)
  return error.message
}

test('a listener of its own is a port of 127.0.0.1, an address, a Unix socket, or a list of them, with TLS or without', async t => {
  const forms: Record<string, string[]> = {
    '9000': ['127.0.0.1:9000'],
    '"9000"': ['127.0.0.1:9000'],
    '0': ['127.0.0.1:0'],
    '127.0.0.2:9000': ['127.0.0.2:9000'],
    '"[::1]:9000"': ['[::1]:9000'],
    'localhost:9000': ['localhost:9000'],
    'unix:/run/box.sock': ['unix:/run/box.sock'],
    '{ address: 9000, tls: auto }': ['127.0.0.1:9000 auto'],
    '{ address: "unix:/run/box.sock", tls: auto }': ['unix:/run/box.sock auto'],
    '{ address: 9000, tls: { cert: proxy.pem, key: proxy.key } }': ['127.0.0.1:9000 pair'],
    '[9000, { address: 9001, tls: auto }, "[::1]:9000", unix:/a, unix:/b]': [
      '127.0.0.1:9000',
      '127.0.0.1:9001 auto',
      '[::1]:9000',
      'unix:/a',
      'unix:/b',
    ],
    '[0, 0]': ['127.0.0.1:0', '127.0.0.1:0'],
  }
  for (const [written, wanted] of Object.entries(forms)) {
    const { box } = await load(t, written)
    const found = box.listen.map(({ address, tls }) => {
      const secured = typeof tls === 'object' ? ' pair' : ' auto'
      return printed(address) + (tls === undefined ? '' : secured)
    })
    assert.deepEqual(found, wanted, written)
  }
})

test('a relative path of a socket or of a certificate is looked for beside the configuration', async t => {
  const { box, folder } = await load(t, '[unix:box.sock, { address: 1, tls: { cert: proxy.pem, key: proxy.key } }]')
  assert.deepEqual(box.listen[0]?.address, { path: `${folder}/box.sock` })
  assert.deepEqual(box.files, [`${folder}/proxy.pem`, `${folder}/proxy.key`], 'and is watched')
})

test('vendor is the port that the product has by default, over TLS', async t => {
  for (const { name, defaultPort } of products) {
    const address = { host: '127.0.0.1', port: defaultPort }
    const [plain] = (await load(t, 'vendor', { product: name })).box.listen
    assert.deepEqual([plain?.address, plain?.tls], [address, 'auto'])
    const own = '{ address: vendor, tls: { cert: proxy.pem, key: proxy.key } }'
    const [pair] = (await load(t, own, { product: name })).box.listen
    assert.deepEqual([pair?.address, typeof pair?.tls], [address, 'object'])
  }
  assert.deepEqual(
    products.map(({ name, defaultPort }) => `${name} ${defaultPort}`),
    ['azure 443', 'microsoft365 4443', 'google-cloud 13140'],
  )
})

const mistakes: Record<string, RegExp> = {
  '90000': /^a\.yaml:6:13: appliances\.box\.listen: this value does not fit\. Expected: .*PORT \(0 to 65535/,
  '"90000"': /listen: this is not a port\. Give a number from 0 to 65535/,
  vendr: /listen: this value does not fit\. Did you mean "vendor"\? /,
  '[9000, nowhere]': /^a\.yaml:6:20: appliances\.box\.listen\.1: this value does not fit\. Expected: PORT, HOST:PORT/,
  '[]': /listen: this is empty\. Expected: /,
  '{ address: 9000 }': /listen\.tls: "tls" is missing\. Add it: auto/,
  '{ adress: 9000, tls: auto }': /listen: .* Did you mean "address"\?/,
  '{ address: 9000, tls: { cert: none.pem, key: proxy.key } }': /none\.pem does not exist\. Correct the path/,
  '{ address: 9000, tls: { cert: proxy.pem, key: proxy.pem } }': /proxy\.pem holds no private key/,
}

for (const [written, message] of Object.entries(mistakes)) {
  test(`listen: ${written} is refused with place and remedy`, async t => {
    assert.match(await mistakeIn(t, written), message)
  })
}

test('two listeners that want the same address are a mistake with both places', async t => {
  const where = '\\((a\\.yaml:\\d+:\\d+|the default)\\)\\. Choose another port or path for one of the two\\.'
  const rows: [string, Given, string][] = [
    ['8080', {}, 'a.yaml:6:13: appliances.box.listen: 127\\.0\\.0\\.1:8080 is taken by listen '],
    [
      '[9000, { address: 9000, tls: auto }]',
      {},
      'a.yaml:6:20: appliances.box.listen.1: .*:9000 is taken by appliances.box.listen.0 ',
    ],
    ['9000', { other: 'localhost:9000' }, 'appliances.other.listen: localhost:9000 is taken by appliances.box.listen '],
    ['unix:/a/b', { other: 'unix:/a/../a/b' }, 'appliances.other.listen: unix:.* is taken by appliances.box.listen '],
    [
      '9000',
      { other: '0.0.0.0:9000', top: 'allowInsecureListen: true\n' },
      'other.listen: 0.0.0.0:9000 is taken by appliances.box.listen ',
    ],
    [
      '"[::1]:9000"',
      { other: '"[::]:9000"', top: 'allowInsecureListen: true\n' },
      'other.listen: \\[::\\]:9000 is taken by appliances.box.listen ',
    ],
    ['unix:/a', { top: 'listen: unix:/a\n' }, 'appliances.box.listen: unix:/a is taken by listen '],
  ]
  for (const [listen, given, pattern] of rows)
    assert.match(await mistakeIn(t, listen, given), new RegExp(pattern + where))
  assert.match(
    await mistakeIn(t, '9000', { env: { PORT: '9000' } }),
    /box\.listen: 127\.0\.0\.1:9000 is taken by listen \(command line or environment\)/,
  )
  await load(t, '"[::1]:9000"', { other: '9000' })
  await load(t, '8080', { env: { PORT: '8081' } })
})

test('an address that other machines can reach is refused, of the proxy itself as of an appliance, unless the risk is dealt with', async t => {
  const open = '{ address: 0.0.0.0:9000, tls: auto }'
  const alone =
    /^a\.yaml:6:13: appliances\.box\.listen: 0\.0\.0\.0:9000 can be reached from other machines, where nobody has to prove who calls\. Listen on 127\.0\.0\.1 or a Unix socket, or set callers and tls;/
  assert.match(await mistakeIn(t, open), alone)
  assert.match(await mistakeIn(t, '[9000, "[::]:9001"]', { top: CALLERS }), /listen\.1: \[::\]:9001 .* without TLS/)
  assert.match(
    await mistakeIn(t, '9000', { top: 'listen: 192.0.2.1:1\n' }),
    /^a\.yaml:1:9: listen: 192\.0\.2\.1:1 can be/,
  )
  assert.match(
    await mistakeIn(t, '9000', { env: { HOST: '0.0.0.0' } }),
    /^command line or environment: listen: 0\.0\.0\.0:8080 can be reached/,
  )
  await load(t, open, { top: CALLERS })
  for (const given of [{ top: 'allowInsecureListen: true\n' }, { env: { ALLOW_INSECURE_LISTEN: 'true' } }]) {
    const { warnings } = await load(t, '0.0.0.0:9000', given)
    assert.ok(warnings.some(warning => warning.startsWith('allowInsecureListen is true: other machines may')))
  }
})
