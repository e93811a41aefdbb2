import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Grant, products } from '../src/dialects/index.ts'
import { defaultOptions } from './rig.ts'

interface Expected {
  path: string
  fields: Record<string, string>
  /** The body of each grant the product has; its absence means that the product has none such. */
  bodies: Partial<Record<Grant['type'], string>>
  signOut: { method: string; path: string; fields: Record<string, string> }
  defaultFields: Record<string, string>
  keepsCookies: boolean
}

/** Everything that a form can lose: reserved characters, space, percent, backslash, what encodeURIComponent leaves. */
const username = 'DOMAIN\\us er'
const encodedUsername = 'DOMAIN%5Cus%20er'
const password = 'p+=/&%?#;:@ü€😀\'()*!"~-._'
const encodedPassword = 'p%2B%3D%2F%26%25%3F%23%3B%3A%40%C3%BC%E2%82%AC%F0%9F%98%80%27%28%29%2A%21%22~-._'

const grants: readonly Grant[] = [
  { type: 'password', username, password },
  { type: 'mfa', mfaToken: 'TVRO+Q/==', code: '012345' },
  { type: 'authorization_code', code: 'AAEAAJO1R+DA/LT==' },
  { type: 'refresh_token', refreshToken: 'eyJ.a-b_c.d+/=' },
]

const form = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
const authorization = 'Bearer access'

const expected: Record<string, Expected> = {
  azure: {
    path: '/api/oauth2/token',
    fields: form,
    bodies: {
      password: `Username=${encodedUsername}&Password=${encodedPassword}&grant_type=Password`,
      mfa: 'grant_type=Mfa&mfa_token=TVRO%2BQ%2F%3D%3D&mfa_code=012345',
      refresh_token: 'grant_type=Refresh_token&refresh_token=eyJ.a-b_c.d%2B%2F%3D',
    },
    signOut: { method: 'DELETE', path: '/api/oauth2/token', fields: { authorization } },
    defaultFields: {},
    keepsCookies: false,
  },
  microsoft365: {
    path: '/v8/token',
    fields: form,
    bodies: {
      password: `grant_type=password&username=${encodedUsername}&password=${encodedPassword}`,
      refresh_token: 'grant_type=refresh_token&refresh_token=eyJ.a-b_c.d%2B%2F%3D',
    },
    signOut: { method: 'POST', path: '/v8/token/logout', fields: { authorization } },
    defaultFields: {},
    keepsCookies: true,
  },
  'google-cloud': {
    path: '/api/v1/token',
    fields: { ...form, 'x-api-version': '1.4-rev0' },
    bodies: {
      password: `grant_type=password&username=${encodedUsername}&password=${encodedPassword}`,
      mfa: 'grant_type=mfa&mfa_token=TVRO%2BQ%2F%3D%3D&mfa_code=012345',
      authorization_code: 'grant_type=authorization_code&code=AAEAAJO1R%2BDA%2FLT%3D%3D',
      refresh_token: 'grant_type=refresh_token&refresh_token=eyJ.a-b_c.d%2B%2F%3D',
    },
    signOut: { method: 'DELETE', path: '/api/v1/token', fields: { authorization, 'x-api-version': '1.4-rev0' } },
    defaultFields: { 'x-api-version': '1.4-rev0' },
    keepsCookies: false,
  },
}

test('every product of the registry is held against the contract', () => {
  assert.deepEqual(products.map(({ name }) => name).sort(), Object.keys(expected).sort())
})

for (const product of products) {
  const dialect = product.dialect(defaultOptions(product.name))
  const wanted = expected[product.name]
  assert.ok(wanted)

  for (const grant of grants) {
    const body = wanted.bodies[grant.type]
    if (body === undefined) {
      test(`${product.name} has no ${grant.type} grant and refuses to make one up`, () => {
        assert.throws(() => dialect.ask(grant), TypeError)
      })
      continue
    }
    test(`${product.name} asks with the ${grant.type} grant in exactly the bytes its document shows`, () => {
      assert.deepEqual(dialect.ask(grant), { method: 'POST', path: wanted.path, fields: wanted.fields, body })
    })
  }

  test(`${product.name} says of itself which credentials and codes its grants can use`, () => {
    const offers = [
      ...(wanted.bodies.password === undefined ? [] : ['password']),
      ...(wanted.bodies.authorization_code === undefined ? [] : ['authorizationCode']),
    ]
    assert.deepEqual([...product.credentials].sort(), offers.sort())
    assert.equal(product.mfa, wanted.bodies.mfa !== undefined)
  })

  test(`${product.name} signs out as its document says`, () => {
    assert.deepEqual(dialect.signOut('access'), wanted.signOut)
  })

  test(`${product.name} authorizes a request with a bearer token, the version the appliance wants, and its cookies`, () => {
    assert.deepEqual(dialect.sessionFields('access'), { authorization })
    assert.deepEqual(dialect.defaultFields, wanted.defaultFields)
    assert.equal(dialect.keepsCookies, wanted.keepsCookies)
    assert.deepEqual(dialect.echo, [])
  })

  test(`${product.name} knows how its token endpoint speaks, for when the proxy answers in its place`, () => {
    const { emulation } = product
    const { method, path } = dialect.signOut('access')
    assert.match(String(emulation.signOutStatus(method, path)), /^20[04]$/)
    assert.equal(emulation.signOutStatus('GET', path), undefined)
    assert.equal(emulation.signOutStatus('POST', wanted.path), undefined)
    const { access_token, refresh_token, expires_in } = emulation.answer
    assert.deepEqual([access_token, refresh_token, typeof expires_in], ['', '', 'number'])
    const error = emulation.error({ status: 401, error: 'invalid_grant', message: 'Wrong.' }, wanted.path)
    assert.equal(new Map(Object.entries(error)).get('message'), 'Wrong.')
    assert.match(emulation.errorType, /^application\/(problem\+)?json; charset=utf-8$/)
  })

  test(`${product.name} refuses options that are not its own`, () => {
    assert.throws(() => product.dialect({ ...defaultOptions(product.name), surplus: true }))
  })
}

function dialectOf(name: string, options: Record<string, unknown>) {
  const product = products.find(entry => entry.name === name)
  assert.ok(product)
  return product.dialect({ ...defaultOptions(name), ...options })
}

test("microsoft365 takes the version of the token's path from apiVersion, for sign-out too", () => {
  const dialect = dialectOf('microsoft365', { apiVersion: 'v7' })
  assert.deepEqual(
    [dialect.ask({ type: 'refresh_token', refreshToken: 'r' }).path, dialect.signOut('a').path],
    ['/v7/token', '/v7/token/logout'],
  )
})

test('microsoft365 with antiforgery disabled says so on both grants and keeps no cookies', () => {
  const dialect = dialectOf('microsoft365', { antiforgery: 'disabled' })
  assert.equal(
    dialect.ask({ type: 'password', username: 'a', password: 'b' }).body,
    'grant_type=password&username=a&password=b&disable_antiforgery_token=true',
  )
  assert.equal(
    dialect.ask({ type: 'refresh_token', refreshToken: 'r' }).body,
    'grant_type=refresh_token&refresh_token=r&disable_antiforgery_token=true',
  )
  assert.equal(dialect.keepsCookies, false)
})

test('microsoft365 with an echo keeps the cookies and names the field', () => {
  const echo = [{ cookie: 'X', field: 'X-Forgery' }]
  const dialect = dialectOf('microsoft365', { antiforgery: { echo } })
  assert.equal(dialect.keepsCookies, true)
  assert.deepEqual(dialect.echo, echo)
})

test('google-cloud asks for a short-lived refresh token when shortTermRefresh is set', () => {
  const dialect = dialectOf('google-cloud', { shortTermRefresh: true })
  assert.equal(
    dialect.ask({ type: 'password', username: 'a', password: 'b' }).body,
    'grant_type=password&username=a&password=b&use_short_term_refresh=true',
  )
})

test('google-cloud sends the configured x-api-version on the token request, the sign-out and every other request', () => {
  const dialect = dialectOf('google-cloud', { apiVersion: '1.3-rev0' })
  const version = '1.3-rev0'
  const sent = [
    dialect.ask({ type: 'refresh_token', refreshToken: 'r' }).fields,
    dialect.signOut('a').fields,
    dialect.defaultFields,
  ]
  assert.deepEqual(
    sent.map(fields => fields['x-api-version']),
    [version, version, version],
  )
})
