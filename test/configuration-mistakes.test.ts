import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigurationError, type Mistake, readConfiguration } from '../src/config/configuration.ts'
import { temporaryFolder } from './configuration-folder.ts'

const env = { SET: 'Xk29-from-the-environment', EMPTY: '' }

/** A sound appliance of which one line is replaced or followed by others. */
function azure(change: { url?: string; credentials?: string; more?: string } = {}): string {
  const { url = 'https://backup.example', credentials = '{ username: admin, password: { env: SET } }', more } = change
  const lines = ['appliances:', '  one:', '    product: azure', `    url: ${url}`, `    credentials: ${credentials}`]
  return [...lines, ...(more === undefined ? [] : [`    ${more}`]), ''].join('\n')
}

interface Row {
  mistake: string
  yaml: string
  /** Line and column. */
  at: string
  path: string
  message: RegExp
  remedy: RegExp
}

const rows: readonly Row[] = [
  {
    mistake: 'an unknown key of an appliance',
    yaml: azure().replace('credentials', 'credentails'),
    at: '5:5',
    path: 'appliances.one.credentails',
    message: /unknown key "credentails"/,
    remedy: /Did you mean "credentials"\?/,
  },
  {
    mistake: 'an unknown key at the top',
    yaml: `apliances: {}\n${azure()}`,
    at: '1:1',
    path: 'apliances',
    message: /unknown key/,
    remedy: /"appliances"/,
  },
  {
    mistake: 'an unknown key that is near no other',
    yaml: azure({ more: 'colour: red' }),
    at: '6:5',
    path: 'appliances.one.colour',
    message: /unknown key "colour"/,
    remedy: /Known here: product, url, credentials, tls/,
  },
  {
    mistake: 'a key that another product has',
    yaml: azure({ more: 'shortTermRefresh: true' }),
    at: '6:5',
    path: 'appliances.one.shortTermRefresh',
    message: /this product has no key/,
    remedy: /Remove it: it belongs to google-cloud/,
  },
  {
    mistake: 'a credential outside of credentials',
    yaml: azure({ more: 'password: { env: SET }' }),
    at: '6:5',
    path: 'appliances.one.password',
    message: /unknown key/,
    remedy: /Move it under credentials/,
  },
  {
    mistake: 'a product in another spelling',
    yaml: azure().replace('product: azure', 'product: Microsoft-365'),
    at: '3:14',
    path: 'appliances.one.product',
    message: /"Microsoft-365" is not known/,
    remedy: /Did you mean "microsoft365"\? Choose one of azure, microsoft365, google-cloud/,
  },
  {
    mistake: 'no url',
    yaml: azure().replace(/ {4}url.*\n/, ''),
    at: '2:3',
    path: 'appliances.one.url',
    message: /"url" is missing/,
    remedy: /such as https:\/\/backup\.example:4443/,
  },
  {
    mistake: 'no product because of its letter case',
    yaml: azure().replace('product', 'Product'),
    at: '2:3',
    path: 'appliances.one.product',
    message: /"product" is missing/,
    remedy: /Rename "Product" to "product"/,
  },
  {
    mistake: 'a password without a user name',
    yaml: azure({ credentials: '{ password: { env: SET } }' }),
    at: '5:5',
    path: 'appliances.one.credentials.username',
    message: /"username" is missing/,
    remedy: /Add it: Account/,
  },
  {
    mistake: 'an authorization code for a product without that grant',
    yaml: azure({ credentials: '{ username: admin, password: { env: SET }, authorizationCode: { env: SET } }' }),
    at: '5:61',
    path: 'appliances.one.credentials.authorizationCode',
    message: /this product has no key/,
    remedy: /it belongs to google-cloud/,
  },
  {
    mistake: 'a password and an authorization code',
    yaml: azure({
      credentials: '{ username: admin, password: { env: SET }, authorizationCode: { env: SET } }',
    }).replace('azure', 'google-cloud'),
    at: '5:18',
    path: 'appliances.one.credentials',
    message: /none of the forms/,
    remedy: /username and password, or authorizationCode/,
  },
  {
    mistake: 'a TOTP secret for a product without MFA',
    yaml: azure({ credentials: '{ username: admin, password: { env: SET }, totp: { env: SET } }' }).replace(
      'azure',
      'microsoft365',
    ),
    at: '5:61',
    path: 'appliances.one.credentials.totp',
    message: /this product has no key "totp"/,
    remedy: /it belongs to azure and google-cloud/,
  },
  {
    mistake: 'a password that YAML reads as a number',
    yaml: azure({ credentials: '{ username: admin, password: 123456 }' }),
    at: '5:47',
    path: 'appliances.one.credentials.password',
    message: /YAML reads this as a number/,
    remedy: /Put the value in quotes/,
  },
  {
    mistake: 'a password that YAML reads as true',
    yaml: azure({ credentials: '{ username: admin, password: true }' }),
    at: '5:47',
    path: 'appliances.one.credentials.password',
    message: /YAML reads this as a boolean/,
    remedy: /Put the value in quotes/,
  },
  {
    mistake: 'a password that YAML reads as a comment',
    yaml: azure({ credentials: '\n      username: admin\n      password: #1secret' }),
    at: '7:17',
    path: 'appliances.one.credentials.password',
    message: /has no value/,
    remedy: /in quotes/,
  },
  {
    mistake: 'a secret reference of an unknown kind',
    yaml: azure({ credentials: '{ username: admin, password: { envv: SET } }' }),
    at: '5:47',
    path: 'appliances.one.credentials.password',
    message: /none of the forms/,
    remedy: /Did you mean "env"\? Expected: .*\{ env: NAME \}, \{ file: PATH \}/,
  },
  {
    mistake: 'a secret reference with two sources',
    yaml: azure({ credentials: '{ username: admin, password: { env: SET, file: x } }' }),
    at: '5:47',
    path: 'appliances.one.credentials.password',
    message: /none of the forms/,
    remedy: /\{ command: \[PROGRAM, ARGUMENT\] \}/,
  },
  {
    mistake: 'an environment variable that is not set',
    yaml: azure({ credentials: '{ username: admin, password: { env: UNSET } }' }),
    at: '5:47',
    path: 'appliances.one.credentials.password',
    message: /environment variable UNSET is not set/,
    remedy: /Set UNSET/,
  },
  {
    mistake: 'an environment variable that is empty',
    yaml: azure({ credentials: '{ username: admin, password: { env: EMPTY } }' }),
    at: '5:47',
    path: 'appliances.one.credentials.password',
    message: /environment variable EMPTY is empty/,
    remedy: /Set EMPTY/,
  },
  {
    mistake: 'a secret in the place of the name of a variable',
    yaml: azure({ credentials: '{ username: admin, password: { env: Xk29-plain } }' }),
    at: '5:54',
    path: 'appliances.one.credentials.password.env',
    message: /does not fit/,
    remedy: /Name of the environment variable/,
  },
  {
    mistake: 'a secret file that does not exist',
    yaml: azure({ credentials: '{ username: admin, password: { file: ./nowhere } }' }),
    at: '5:47',
    path: 'appliances.one.credentials.password',
    message: /\/nowhere does not exist/,
    remedy: /Create it, or correct the path/,
  },
  {
    mistake: 'a secret file that everybody may read',
    yaml: azure({ credentials: '{ username: admin, password: { file: ./open.txt } }' }),
    at: '5:47',
    path: 'appliances.one.credentials.password',
    message: /open\.txt is open to group or others \(mode 0644\)/,
    remedy: /^Run: chmod 600 \/.*\/open\.txt$/,
  },
  {
    mistake: 'a command without a program',
    yaml: azure({ credentials: '{ username: admin, password: { command: [] } }' }),
    at: '5:58',
    path: 'appliances.one.credentials.password.command',
    message: /this is empty/,
    remedy: /Program and arguments/,
  },
  {
    mistake: 'a TOTP secret that is not base32',
    yaml: azure({ credentials: '{ username: admin, password: { env: SET }, totp: "0189" }' }),
    at: '5:67',
    path: 'appliances.one.credentials.totp',
    message: /neither base32 nor an otpauth/,
    remedy: /letters A to Z and digits 2 to 7/,
  },
  {
    mistake: 'a url without a scheme',
    yaml: azure({ url: 'backup.example:4443' }),
    at: '4:10',
    path: 'appliances.one.url',
    message: /does not begin with https/,
    remedy: /https:\/\/HOST:PORT/,
  },
  {
    mistake: 'http to another machine',
    yaml: azure({ url: 'http://backup.example:8080' }),
    at: '4:10',
    path: 'appliances.one.url',
    message: /password would travel in clear/,
    remedy: /https:\/\/backup\.example:8080/,
  },
  {
    mistake: 'http to a name that only begins like loopback',
    yaml: azure({ url: 'http://127.0.0.1.example' }),
    at: '4:10',
    path: 'appliances.one.url',
    message: /password would travel in clear/,
    remedy: /https:/,
  },
  {
    mistake: 'http to an address of the network',
    yaml: azure({ url: 'http://192.0.2.1' }),
    at: '4:10',
    path: 'appliances.one.url',
    message: /password would travel in clear/,
    remedy: /https:\/\/192\.0\.2\.1/,
  },
  {
    mistake: 'a path in the url',
    yaml: azure({ url: 'https://backup.example/api/v1' }),
    at: '4:10',
    path: 'appliances.one.url',
    message: /holds a path/,
    remedy: /Write it as https:\/\/backup\.example$/,
  },
  {
    mistake: 'a query in the url',
    yaml: azure({ url: 'https://backup.example/?a=b' }),
    at: '4:10',
    path: 'appliances.one.url',
    message: /query or fragment/,
    remedy: /Write it as https:\/\/backup\.example$/,
  },
  {
    mistake: 'a password in the url',
    yaml: azure({ url: 'https://admin:Xk29-in-the-url@backup.example' }),
    at: '4:10',
    path: 'appliances.one.url',
    message: /user name or password/,
    remedy: /put them under credentials/,
  },
  {
    mistake: 'a url that is a number',
    yaml: azure({ url: '443' }),
    at: '4:10',
    path: 'appliances.one.url',
    message: /as a number/,
    remedy: /such as https/,
  },
  {
    mistake: 'an empty tls',
    yaml: azure({ more: 'tls: {}' }),
    at: '6:10',
    path: 'appliances.one.tls',
    message: /none of the forms/,
    remedy: /\{ ca: FILE \}, \{ fingerprint: SHA-256 \} and \{ verify: false \}/,
  },
  {
    mistake: 'two ways of trust at once',
    yaml: azure({ more: 'tls: { ca: ./ca.pem, verify: false }' }),
    at: '6:10',
    path: 'appliances.one.tls',
    message: /none of the forms/,
    remedy: /one of/,
  },
  {
    mistake: 'verify: true, which says nothing',
    yaml: azure({ more: 'tls: { verify: true }' }),
    at: '6:20',
    path: 'appliances.one.tls.verify',
    message: /does not fit/,
    remedy: /leave tls out/,
  },
  {
    mistake: 'a CA file that does not exist',
    yaml: azure({ more: 'tls: { ca: ./ca.pem }' }),
    at: '6:16',
    path: 'appliances.one.tls.ca',
    message: /ca\.pem does not exist/,
    remedy: /copy the certificate there/,
  },
  {
    mistake: 'a CA file without a certificate',
    yaml: azure({ more: 'tls: { ca: ./open.txt }' }),
    at: '6:16',
    path: 'appliances.one.tls.ca',
    message: /holds no certificate/,
    remedy: /BEGIN CERTIFICATE/,
  },
  {
    mistake: 'a damaged certificate',
    yaml: azure({ more: 'tls: { ca: ./damaged.pem }' }),
    at: '6:16',
    path: 'appliances.one.tls.ca',
    message: /certificate 1 .* is damaged/,
    remedy: /Export it anew/,
  },
  {
    mistake: 'a SHA-1 fingerprint',
    yaml: azure({ more: `tls: { fingerprint: '${'AB:'.repeat(19)}AB' }` }),
    at: '6:25',
    path: 'appliances.one.tls.fingerprint',
    message: /SHA-1/,
    remedy: /SHA-256/,
  },
  {
    mistake: 'a fingerprint with a letter too few',
    yaml: azure({ more: `tls: { fingerprint: '${'a'.repeat(63)}' }` }),
    at: '6:25',
    path: 'appliances.one.tls.fingerprint',
    message: /not a fingerprint of 64/,
    remedy: /openssl x509/,
  },
  {
    mistake: 'an apiVersion that YAML reads as a number',
    yaml: azure({ more: 'apiVersion: 8' }).replace('azure', 'microsoft365'),
    at: '6:17',
    path: 'appliances.one.apiVersion',
    message: /as a number/,
    remedy: /quotes.*such as v8/,
  },
  {
    mistake: 'an apiVersion in another form',
    yaml: azure({ more: 'apiVersion: v8' }).replace('azure', 'google-cloud'),
    at: '6:17',
    path: 'appliances.one.apiVersion',
    message: /does not fit/,
    remedy: /such as 1\.4-rev0/,
  },
  {
    mistake: 'a slip in a word that is chosen from a list',
    yaml: azure({ more: 'antiforgery: disable' }).replace('azure', 'microsoft365'),
    at: '6:18',
    path: 'appliances.one.antiforgery',
    message: /does not fit/,
    remedy: /Did you mean "disabled"\?/,
  },
  {
    mistake: 'a mistake deep in a list',
    yaml: azure({ more: 'antiforgery: { echo: [{ cookie: a, field: "x y" }] }' }).replace('azure', 'microsoft365'),
    at: '6:47',
    path: 'appliances.one.antiforgery.echo.0.field',
    message: /does not fit/,
    remedy: /Name of the request field/,
  },
  {
    mistake: 'a name that cannot be a host name',
    yaml: azure().replace('one:', 'Tenant_A:'),
    at: '2:3',
    path: 'appliances.Tenant_A',
    message: /not a valid name/,
    remedy: /small letters, digits and hyphens/,
  },
  {
    mistake: 'a name longer than a DNS label',
    yaml: azure().replace('one:', `${'a'.repeat(64)}:`),
    at: '2:3',
    path: `appliances.${'a'.repeat(64)}`,
    message: /not a valid name/,
    remedy: /at most 63/,
  },
  {
    mistake: 'no appliance at all',
    yaml: 'appliances: {}\n',
    at: '1:13',
    path: 'appliances',
    message: /this is empty/,
    remedy: /appliances by name/,
  },
  {
    mistake: 'an appliance without anything',
    yaml: 'appliances:\n  one:\n',
    at: '2:7',
    path: 'appliances.one',
    message: /has no value/,
    remedy: /One backup appliance/,
  },
  {
    mistake: 'a port alone to listen on',
    yaml: `listen: 8080\n${azure()}`,
    at: '1:9',
    path: 'listen',
    message: /as a number/,
    remedy: /such as 127\.0\.0\.1:8080/,
  },
  {
    mistake: 'an IPv6 address to listen on without brackets',
    yaml: `listen: "::1:8080"\n${azure()}`,
    at: '1:9',
    path: 'listen',
    message: /not an address and port/,
    remedy: /\[::1\]:8080/,
  },
  {
    mistake: 'a port beyond the last',
    yaml: `listen: 127.0.0.1:80800\n${azure()}`,
    at: '1:9',
    path: 'listen',
    message: /not a port/,
    remedy: /0 to 65535/,
  },
  {
    mistake: 'a key that occurs twice',
    yaml: azure({ more: 'url: https://other.example' }),
    at: '6:5',
    path: '',
    message: /second time/,
    remedy: /Keep one of the two/,
  },
  {
    mistake: 'a tab in the indentation',
    yaml: 'appliances:\n\tone: {}\n',
    at: '2:1',
    path: '',
    message: /a tab/,
    remedy: /Indent with spaces/,
  },
  {
    mistake: 'a second document',
    yaml: `${azure()}---\n${azure()}`,
    at: '6:1',
    path: '',
    message: /second document/,
    remedy: /Keep one/,
  },
  {
    mistake: 'a list at the top',
    yaml: '- product: azure\n',
    at: '1:1',
    path: '',
    message: /a list is not expected|not a map/,
    remedy: /where it listens and which appliances/,
  },
  {
    mistake: 'a time for the first byte that no appliance can keep',
    yaml: azure({ more: 'timeouts: { firstByte: 0s }' }),
    at: '6:28',
    path: 'appliances.one.timeouts.firstByte',
    message: /out of range/,
    remedy: /1ms to 24h, such as 60s/,
  },
  {
    mistake: 'a pause within a body that no timer can keep',
    yaml: azure({ more: 'timeouts: { idle: 1000h }' }),
    at: '6:23',
    path: 'appliances.one.timeouts.idle',
    message: /out of range/,
    remedy: /1ms to 24h, such as 300s/,
  },
  {
    mistake: 'a shutdownTimeout that no timer can keep',
    yaml: `shutdownTimeout: 1000h\n${azure()}`,
    at: '1:18',
    path: 'shutdownTimeout',
    message: /out of range/,
    remedy: /0s to 24h, such as 10s/,
  },
  {
    mistake: 'a password that begins with *',
    yaml: azure({ credentials: '{ username: admin, password: *Xk29-plain }' }),
    at: '5:47',
    path: '',
    message: /means something else in YAML/,
    remedy: /'single quotes'/,
  },
  {
    mistake: 'a password that begins with !',
    yaml: azure({ credentials: '{ username: admin, password: !Xk29-plain }' }),
    at: '5:47',
    path: '',
    message: /means something else in YAML/,
    remedy: /'single quotes'/,
  },
  {
    mistake: 'a password that begins with @',
    yaml: azure({ credentials: '{ username: admin, password: @Xk29-plain }' }),
    at: '5:47',
    path: '',
    message: /means something else in YAML/,
    remedy: /'single quotes'/,
  },
  {
    mistake: 'a password with a colon and no quotes',
    yaml: azure({ credentials: '\n      username: admin\n      password: Xk29: plain' }),
    at: '7:17',
    path: '',
    message: /second key on one line/,
    remedy: /'single quotes'/,
  },
]

for (const { mistake, yaml, at, path, message, remedy } of rows) {
  test(`${mistake} is told with its place and remedy`, async t => {
    const folder = temporaryFolder(t)
    folder.write('open.txt', 'Xk29-in-a-file', 0o644)
    folder.write('damaged.pem', '-----BEGIN CERTIFICATE-----\nWGsyOQ==\n-----END CERTIFICATE-----\n')
    const mistakes = await mistakesOf(folder.write('appliances.yaml', yaml))
    const found = mistakes.find(one => one.path === path && message.test(one.message))
    assert.ok(found, `not among ${JSON.stringify(mistakes, null, 2)}`)
    assert.equal(found.place, `${join(folder.path, 'appliances.yaml')}:${at}`)
    assert.match(found.remedy, remedy)
    assert.doesNotMatch(JSON.stringify(mistakes), /Xk29/, 'a value was shown')
  })
}

async function mistakesOf(file: string): Promise<readonly Mistake[]> {
  try {
    await readConfiguration(file, env)
  } catch (error) {
    if (error instanceof ConfigurationError) return error.mistakes
    throw error
  }
  assert.fail('the configuration was accepted')
}

test('all mistakes of a file are told together, in the order of their lines, one per line', async t => {
  const folder = temporaryFolder(t)
  const yaml = `listen: nowhere\n${azure({ url: 'http://a', credentials: '{ username: 1, password: { env: UNSET } }', more: 'x: 1' })}`
  const file = folder.write('appliances.yaml', `${yaml}  two: { product: azuer }\n`)
  await assert.rejects(readConfiguration(file, env), (error: Error) => {
    const lines = error.message.split('\n')
    const places = lines.map(line =>
      line
        .slice(file.length + 1)
        .match(/^(\d+:\d+): (\S+):/)
        ?.slice(1)
        .join(' '),
    )
    assert.deepEqual(places, [
      '1:9 listen',
      '5:10 appliances.one.url',
      '6:30 appliances.one.credentials.username',
      '6:43 appliances.one.credentials.password',
      '7:5 appliances.one.x',
      '8:3 appliances.two.url',
      '8:3 appliances.two.credentials',
      '8:19 appliances.two.product',
    ])
    return true
  })
})

test('a mistake below an alias or a merged map is told where it stands', async t => {
  const folder = temporaryFolder(t)
  const lines = [
    'appliances:',
    '  one: &one',
    '    product: azure',
    '    url: http://backup.example',
    '    credentials: { username: a, password: { env: SET } }',
    '  two:',
    '    <<: *one',
    '    url: https://backup.example',
    '    tls: { verify: no }',
    '  three: *one',
  ]
  const mistakes = await mistakesOf(folder.write('a.yaml', lines.join('\n')))
  const places = mistakes.map(({ place, path }) => [path, place.replace(/^.*a\.yaml:/, '')])
  assert.deepEqual(places, [
    ['appliances.one.url', '4:10'],
    ['appliances.three.url', '4:10'],
    ['appliances.two.tls.verify', '9:20'],
  ])
})

const files: readonly { state: string; make: (folder: ReturnType<typeof temporaryFolder>) => string; says: RegExp }[] =
  [
    {
      state: 'missing file',
      make: ({ path }) => join(path, 'nowhere.yaml'),
      says: /no such file\. Run: veeam-auth-proxy init --config .*nowhere\.yaml/,
    },
    { state: 'directory', make: ({ path }) => path, says: /is a directory\. Name the file in it/ },
    {
      state: 'empty file',
      make: folder => folder.write('a.yaml', ''),
      says: /nothing in this file.*veeam-auth-proxy init/,
    },
    {
      state: 'file of comments',
      make: folder => folder.write('a.yaml', '# appliances:\n'),
      says: /nothing in this file.*appliances:/,
    },
    {
      state: 'file in UTF-16',
      make: folder => folder.write('a.yaml', Buffer.from(`\uFEFF${azure()}`, 'utf16le')),
      says: /not UTF-8.*Save the file as UTF-8/,
    },
    {
      state: 'path through a file',
      make: folder => join(folder.write('a.yaml', azure()), 'b.yaml'),
      says: /cannot be read \(ENOTDIR\)/,
    },
  ]
for (const { state, make, says } of files) {
  test(`a ${state} instead of a configuration is told with its remedy`, async t => {
    const folder = temporaryFolder(t)
    mkdirSync(join(folder.path, 'sub'))
    const file = make(folder)
    const [mistake] = await mistakesOf(file)
    assert.equal(mistake?.place, file)
    assert.match(`${mistake?.message}. ${mistake?.remedy}`, says)
  })
}
