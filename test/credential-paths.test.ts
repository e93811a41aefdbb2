import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { products } from '../src/dialects/index.ts'
import { canonicalPath } from '../src/policy/canonical-path.ts'
import { credentialPath } from '../src/policy/path-rules.ts'
import { defaultOptions } from './rig.ts'

type Product = (typeof products)[number]
type Kind = Product['credentialPaths'][number]['kind']

/** `refused` when there is no canonical form. */
function verdict(product: Product, target: string): Kind | 'forwarded' | 'refused' {
  const canonical = canonicalPath(target)
  if (canonical === undefined) return 'refused'
  return credentialPath(product, canonical)?.kind ?? 'forwarded'
}

const everywhere: Record<string, Kind> = {
  '/api/oauth2/token': 'token',
  '/api/v1/token': 'token',
  '/api/v1/token/': 'token',
  '/api/v3/token': 'token',
  '/api/v8.1/token': 'token',
  '/api/token': 'token',
  '/oauth/token': 'token',
  '/v1/Token': 'token',
  '/v8/token': 'token',
  '/v99/token': 'token',
  '/token': 'token',
  '/api/restoreservice/v8/token': 'token',
  '/api/restoreservice/oauth2/token': 'token',
  '/v7/token/logout': 'sign-out',
  '/v7/Logout': 'sign-out',
  '/api/oauth2/logout': 'sign-out',
  '/api/revoke': 'sign-out',
  '/logout': 'sign-out',
  '/api/v1/authorization_code': 'authorization-code',
  '/api/oauth2/authorization_code': 'authorization-code',
  '/v8/token/AuthCode': 'authorization-code',
  '/api/v1/token/authorizationCode': 'authorization-code',
  '/api/oauth2': 'other',
  '/api/oauth2/authorize': 'other',
  '/connect/token': 'other',
  '/v8/token/anything/else': 'other',
  '/api/saml2/acs': 'other',
  '/api/sso': 'other',
  '/api/auth/login': 'other',
  '/login': 'other',
}

for (const product of products) {
  test(`${product.name} hands out and ends no credentials at any path that a document or client names`, () => {
    for (const [target, kind] of Object.entries(everywhere)) assert.equal(verdict(product, target), kind, target)
  })

  test(`the paths by which ${product.name} signs in and out are among its credential paths`, () => {
    const dialect = product.dialect(defaultOptions(product.name))
    const { path } = dialect.ask({ type: 'password', username: 'u', password: 'p' })
    assert.equal(verdict(product, path), 'token')
    assert.match(verdict(product, dialect.signOut('t').path), /^(token|sign-out)$/)
  })

  test(`the patterns of ${product.name} match whole canonical paths and remember nothing between two`, () => {
    for (const { path } of product.credentialPaths) {
      assert.equal(path.flags, '')
      assert.match(path.source, /^\^.*\$$/)
    }
  })

  test(`${product.name} still serves paths that only look like credentials`, () => {
    const harmless = [
      ...['/', '/v8', '/v8/Jobs', '/v8/Tokens', '/v8/tokenizer', '/v8/Jobs/token', '/v8/Organizations/1/Users/logout'],
      ...['/v8/DeviceCode', '/v8/DeviceCode/check', '/v8/AzureServiceAccounts/DeviceCode', '/v8/Accounts', '/v8/Users'],
      ...['/v8/VboEmailSettings/PrepareOAuthSignIn', '/v8/VboEmailSettings/CompleteOAuthSignIn', '/v8/RestoreSessions'],
      ...['/api/v8.1/veeamVaults/oauth2/beginSignIn', '/api/v8.1/veeamVaults/oauth2/1/signInState', '/api/v1/users'],
      ...['/api/v8.1/settings/saml2/idp', '/api/v8.1/settings/saml2/sp/metadata', '/api/v8.1/users/1/disableMfa'],
      ...[
        '/api/v8.1/accounts/azure/service/listTenantsByToken',
        '/api/v8.1/accounts/standard',
        '/api/v8.1/system/logs',
      ],
      ...['/v8/Jobs?next=/v8/token', '/api/v8.1/jobSessions?redirect=/api/oauth2/token', '/swagger/index.html'],
    ]
    for (const target of harmless) assert.equal(verdict(product, target), 'forwarded', target)
  })
}

test('azure hands out no second factor and no link to its updater', () => {
  const azure = named('azure')
  assert.equal(verdict(azure, '/api/v8.1/users/1b/enableMfa'), 'other')
  assert.equal(verdict(azure, '/api/v9/Users/1b/EnableMFA/'), 'other')
  assert.equal(verdict(azure, '/api/v8.1/system/updaterLink'), 'other')
  assert.equal(verdict(azure, '/api/v8.1/users/1b'), 'forwarded')
})

const attempts: readonly [target: string, verdict: Kind | 'refused', why: string][] = [
  ['/v8/Token', 'token', 'case as in older guides'],
  ['/V8/TOKEN', 'token', 'upper case'],
  ['/v8/tOkEn', 'token', 'mixed case'],
  ['/v8/token/', 'token', 'slash at the end'],
  ['/v8/token//', 'token', 'two slashes at the end'],
  ['/v8/token/.', 'token', 'dot at the end'],
  ['/v8/token/%2e', 'token', 'encoded dot at the end'],
  ['/v8/token/x/..', 'token', 'a way there and back at the end'],
  ['//v8/token', 'token', 'two slashes in front'],
  ['/v8//token', 'token', 'two slashes within'],
  ['/v8///////token', 'token', 'many slashes'],
  ['/./v8/./token', 'token', 'single dots'],
  ['/v8/Jobs/../token', 'token', 'by way of an allowed path'],
  ['/Jobs/1/../../v8/token', 'token', 'two steps up'],
  ['/v8/%2e/token', 'token', 'encoded dot'],
  ['/v8/Jobs/%2e%2e/token', 'token', 'encoded dots'],
  ['/v8/Jobs/%2E./token', 'token', 'half encoded dots'],
  ['/v8/%74oken', 'token', 'an encoded letter'],
  ['/v8/%54oken', 'token', 'an encoded capital letter'],
  ['/%76%38/%74%6f%6b%65%6e', 'token', 'every letter encoded'],
  ['/v8/token;', 'token', 'empty parameters'],
  ['/v8/token;jsessionid=1', 'token', 'parameters'],
  ['/v8;a=b/token;c', 'token', 'parameters of both segments'],
  ['/v8/token;a/', 'token', 'parameters and a slash'],
  ['/v8/token%3Ba', 'token', 'encoded parameters'],
  ['/v8/token.', 'token', 'a dot, dropped by Windows'],
  ['/v8/token...', 'token', 'dots, dropped by Windows'],
  ['/v8/token%20', 'token', 'a space, dropped by Windows'],
  ['/v8/token%20.%20', 'token', 'dots and spaces, dropped by Windows'],
  ['/v8/token%C2%A0', 'token', 'a space that does not break'],
  ['/v8./token', 'token', 'a dot after the version'],
  ['/v8/token.;a', 'token', 'a dot before parameters'],
  ['/v8/token?grant_type=password', 'token', 'a query'],
  ['/v8/token?', 'token', 'an empty query'],
  ['/v8/token/?/../x', 'token', 'a query that looks like a path'],
  ['/v8/%EF%BD%94oken', 'token', 'a fullwidth letter'],
  ['/v8/to%E2%84%AAen', 'token', 'the sign of Kelvin for a k'],
  ['/v8/token/AUTHCODE', 'authorization-code', 'case'],
  ['/v8/token//AuthCode', 'authorization-code', 'two slashes'],
  ['/v8/token/x/../AuthCode', 'authorization-code', 'a way there and back'],
  ['/v8/token/Auth%43ode/', 'authorization-code', 'an encoded letter and a slash'],
  ['/api/v1/authorization%5Fcode', 'authorization-code', 'an encoded underscore'],
  ['/api/v1/author%C4%B1zation_code', 'authorization-code', 'a dotless i, i in upper case'],
  ['/api/v1/author%C4%B0zation_code', 'authorization-code', 'a dotted capital I, i in lower case'],
  ['/api/v1/author%69zation_code;x', 'authorization-code', 'an encoded letter and parameters'],
  ['/api/v10/authorization_code', 'authorization-code', 'a version to come'],
  ['/v8/token/logo%75t', 'sign-out', 'an encoded letter'],
  ['/v8/Token;x/Logout.', 'sign-out', 'parameters and a dot'],
  ['/api//oauth2/LOGOUT/', 'sign-out', 'slashes and case'],
  ['/API/OAuth2/Token', 'token', 'case'],
  ['/api/./oauth2//token;x=y/', 'token', 'several at once'],
  ['/api/v1/../oauth2/token', 'token', 'by way of a version'],
  ['/api/v2/token', 'token', 'a path that the guide has in its prose'],
  ['/api/v1.4-rev0/token', 'token', 'a revision for a version'],
  ['/v8%2Ftoken', 'refused', 'an encoded slash, decoded by http.sys'],
  ['/v8%2ftoken', 'refused', 'the same in lower case'],
  ['/v8/token%2F', 'refused', 'an encoded slash at the end'],
  ['/v8/Jobs/..%2Ftoken', 'refused', 'an encoded slash after dots'],
  ['/v8%5Ctoken', 'refused', 'an encoded backslash'],
  ['/v8\\token', 'refused', 'a backslash'],
  ['/v8/%2574oken', 'refused', 'a letter encoded twice'],
  ['/v8/Jobs/%252e%252e/token', 'refused', 'dots encoded twice'],
  ['/v8%252Ftoken', 'refused', 'a slash encoded twice'],
  ['/v8%25252Ftoken', 'refused', 'a slash encoded three times'],
  ['/v8/%u0074oken', 'refused', 'the encoding of IIS'],
  ['/v8%u002ftoken', 'refused', 'the encoding of IIS for a slash'],
  ['/v8%c0%aftoken', 'refused', 'an overlong slash'],
  ['/v8/%c1%b4oken', 'refused', 'an overlong letter'],
  ['/v8%EF%BC%8Ftoken', 'refused', 'a fullwidth slash'],
  ['/v8%E2%88%95token', 'refused', 'a division slash'],
  ['/v8/token%00', 'refused', 'NUL, the end for C'],
  ['/v8/token%00.txt', 'refused', 'NUL and an extension'],
  ['/v8/token%09', 'refused', 'a tabulator'],
  ['/v8/token%0a', 'refused', 'a line feed, the end for some patterns'],
  ['/v8/token%3F', 'refused', 'an encoded question mark'],
  ['/v8/token%23', 'refused', 'an encoded fragment'],
  ['/v8/token#x', 'refused', 'a fragment'],
  ['/v8/to%C2%ADken', 'refused', 'a soft hyphen'],
  ['/v8/to%E2%80%8Dken', 'refused', 'a joiner without width'],
  ['/v8/%EF%BB%BFtoken', 'refused', 'a byte order mark'],
  ['/v8/..;/v8/token', 'refused', 'dots with parameters'],
  ['/v8/;x/token', 'refused', 'parameters of nothing'],
  ['/v8//../v8/token', 'refused', 'up from an empty segment'],
  ['/../v8/token', 'refused', 'above the root'],
  ['/v8/%', 'refused', 'broken encoding'],
  ['http://appliance/v8/token', 'refused', 'a whole URL'],
]

for (const [target, expected, why] of attempts) {
  test(`no product lets ${JSON.stringify(target)} through to its credentials: ${why}`, () => {
    for (const product of products) assert.equal(verdict(product, target), expected, product.name)
  })
}

const credentials = Object.keys(everywhere).map(target => target.replace(/\/$/, ''))

function respelled(spellings: (char: string) => readonly string[], between: readonly string[], after: string[]) {
  return fc.constantFrom(...credentials).chain(path => {
    const segments = path.slice(1).split('/')
    const parts = segments.flatMap(segment => [
      fc.constantFrom(...between),
      ...[...segment].map(char => fc.constantFrom(...spellings(char))),
      fc.constantFrom('', '', ';x=y', '.', '%20', ';'),
    ])
    return fc.tuple(
      fc.constant(path),
      fc.tuple(...parts, fc.constantFrom(...after)).map(all => all.join('')),
    )
  })
}

const once = (char: string) => {
  const encoded = (text: string) => `%${text.charCodeAt(0).toString(16)}`
  const [lower, upper] = [char.toLowerCase(), char.toUpperCase()]
  return [char, lower, upper, encoded(lower), encoded(upper), encoded(lower).toUpperCase()]
}
const steps = ['/', '/', '//', '/./', '/x/../', '/%2e/', '/x/%2E%2e/', '/x;y/../', '//./']
const ends = ['', '/', '//', '/.', '/x/..', '?a=/../b', '/?']

test('a credential path is recognised however its letters, slashes and dots are spelled', () => {
  fc.assert(
    fc.property(respelled(once, steps, ends), fc.constantFrom(...products), ([path, target], product) => {
      assert.equal(verdict(product, target), everywhere[path] ?? everywhere[`${path}/`])
    }),
    { numRuns: 5000 },
  )
})

const stranger = (char: string) => [
  ...[char, char, char, char, char, char, char, char],
  `%25${char.charCodeAt(0).toString(16)}`,
  `%u00${char.charCodeAt(0).toString(16)}`,
  encodeURIComponent(String.fromCharCode(char.charCodeAt(0) + 0xfee0)),
  `${char}%E2%80%8B`,
]
const strangeSteps = [
  ...steps,
  '%2f',
  '%5C',
  '\\',
  '/..;/',
  '/x/..;/',
  '//../',
  '%EF%BC%8F',
  '/%00/',
  '/%20/',
  '%c0%af',
]

test('a credential path in a stranger spelling is recognised or refused, and never forwarded', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(
      respelled(stranger, strangeSteps, [...ends, '%00', '%23']),
      fc.constantFrom(...products),
      (pair, product) => {
        const [path, target] = pair
        const found = verdict(product, target)
        seen.add(found)
        if (found !== 'refused') assert.equal(found, everywhere[path] ?? everywhere[`${path}/`], target)
      },
    ),
    { numRuns: 5000 },
  )
  assert.ok(seen.has('refused') && seen.has('token') && !seen.has('forwarded'))
})

function named(name: string): Product {
  return products.find(product => product.name === name) ?? assert.fail(name)
}
