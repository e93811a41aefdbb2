import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Grant, type Outcome, products } from '../src/dialects/index.ts'
import { Failure } from '../src/errors.ts'
import { defaultOptions } from './rig.ts'

const password: Grant = { type: 'password', username: 'a', password: 'b' }
const refresh: Grant = { type: 'refresh_token', refreshToken: 'r' }
const mfa: Grant = { type: 'mfa', mfaToken: 'm', code: '123456' }

function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'RS512', typ: 'JWT' })}.${part(claims)}.c2lnbmF0dXJl`
}

/** The life that an answer with these members gives, in milliseconds. */
function lifeOf(outcome: Outcome): number {
  assert.equal(outcome.type, 'granted')
  return outcome.type === 'granted' ? outcome.tokens.life : 0
}

function tokensOf(outcome: Outcome): unknown {
  return outcome.type === 'granted' ? outcome.tokens : assert.fail(outcome.type)
}

/** The vendor's own examples: what they state of time, and the life they come to. */
const examples: Record<string, { name: string; body: Record<string, unknown>; life: number }[]> = {
  azure: [
    {
      name: '3600 s beside dates and a JWT of 900 s',
      body: {
        access_token: jwt({ unique_name: 'user', nbf: 1586255379, exp: 1586256279, iat: 1586255379, aud: 'access' }),
        token_type: 'bearer',
        refresh_token: 'refresh',
        expires_in: 3600,
        '.issued': '2020-06-10T10:29:39',
        '.expires': '2020-06-10T10:44:39',
        username: 'administrator',
        roleName: 'Administrator',
        mfa_enabled: false,
      },
      life: 900_000,
    },
    {
      name: 'seven digits of a second, three milliseconds short of the hour',
      body: {
        access_token: jwt({ nbf: 1606908843, exp: 1606912443, iat: 1606908843 }),
        refresh_token: 'refresh',
        expires_in: 3600,
        '.issued': '2020-12-02T11:34:03.3605646Z',
        '.expires': '2020-12-02T12:34:03.3575256Z',
      },
      life: 3_599_997,
    },
  ],
  microsoft365: [
    {
      name: 'a JWT that has exp and neither iat nor nbf',
      body: {
        access_token: jwt({ tokenType: 'Access', antiforgery: 'True', exp: 1723131153, iss: '127.0.0.1' }),
        refresh_token: 'refresh',
        token_type: 'bearer',
        expires_in: 3600,
        userName: 'Administrator',
        '.issued': '2024-08-07T15:56:22.9188632Z',
        '.expires': '2024-08-07T16:56:22.9188632Z',
      },
      life: 3_600_000,
    },
  ],
  'google-cloud': [
    {
      name: 'dates without a zone',
      body: {
        access_token: jwt({ unique_name: 'root', nbf: 1616445691, exp: 1616446591, iat: 1616445691, aud: 'access' }),
        token_type: 'bearer',
        refresh_token: 'refresh',
        expires_in: 900,
        '.issued': '2021-03-22T20:41:31',
        '.expires': '2021-03-22T20:56:31',
      },
      life: 900_000,
    },
  ],
}

const azureMfa = {
  token_type: 'bearer',
  expires_in: 0,
  '.issued': '0001-01-01T00:00:00',
  '.expires': '0001-01-01T00:00:00',
  mfa_enabled: true,
  mfa_token: 'bWZh==',
}

/** The life rule: the smallest positive of what is stated, 300 s when nothing is. */
const lives: [string, Record<string, unknown>, number][] = [
  ['nothing', {}, 300_000],
  ['expires_in alone', { expires_in: 60 }, 60_000],
  ['expires_in as text', { expires_in: '60' }, 60_000],
  ['a fraction of a second', { expires_in: 0.5 }, 500],
  ['zero', { expires_in: 0 }, 300_000],
  ['a negative number', { expires_in: -5 }, 300_000],
  ['null', { expires_in: null }, 300_000],
  ['words', { expires_in: 'soon', '.issued': 'now', '.expires': 'later' }, 300_000],
  ['dates alone', { '.issued': '2024-01-01T00:00:00Z', '.expires': '2024-01-01T00:02:00Z' }, 120_000],
  [
    'one date with a zone and one without',
    { '.issued': '2024-01-01T00:00:00', '.expires': '2024-01-01T00:02:00Z' },
    120_000,
  ],
  ['dates of different zones', { '.issued': '2024-01-01T02:00:00+02:00', '.expires': '2024-01-01T00:02:00Z' }, 120_000],
  ['only the end', { '.expires': '2099-01-01T00:02:00Z' }, 300_000],
  [
    'dates in the wrong order',
    { expires_in: 60, '.issued': '2024-01-01T00:02:00Z', '.expires': '2024-01-01T00:00:00Z' },
    60_000,
  ],
  [
    'dates shorter than expires_in',
    { expires_in: 3600, '.issued': '2024-01-01T00:00:00', '.expires': '2024-01-01T00:01:00' },
    60_000,
  ],
  ['a JWT with iat', { access_token: jwt({ iat: 1000, exp: 1090 }), expires_in: 3600 }, 90_000],
  ['a JWT with nbf only', { access_token: jwt({ nbf: 1000, exp: 1090 }), expires_in: 3600 }, 90_000],
  [
    'a JWT with iat and a later nbf',
    { access_token: jwt({ iat: 1000, nbf: 1080, exp: 1090 }), expires_in: 3600 },
    90_000,
  ],
  ['a JWT that ends long ago by our clock', { access_token: jwt({ iat: 1, exp: 901 }) }, 900_000],
  ['a JWT with claims of other types', { access_token: jwt({ iat: '1', exp: [] }), expires_in: 60 }, 60_000],
  ['dots that are no JWT', { access_token: 'a.b.c', expires_in: 60 }, 60_000],
]

test('every product has its own examples here', () => {
  assert.deepEqual(Object.keys(examples).sort(), products.map(({ name }) => name).sort())
})

for (const product of products) {
  const dialect = product.dialect(defaultOptions(product.name))
  const understand = (grant: Grant, status: number, body: string) =>
    dialect.understand(grant, { status, fields: {}, body })

  for (const { name, body, life } of examples[product.name] ?? []) {
    test(`${product.name} understands the example of its document: ${name}`, () => {
      const outcome = understand(password, 200, JSON.stringify(body))
      assert.deepEqual(tokensOf(outcome), { accessToken: body.access_token, refreshToken: 'refresh', life })
    })

    test(`${product.name} keeps of its document's example all but the tokens: ${name}`, () => {
      const outcome = understand(password, 200, JSON.stringify({ ...body, mfa_token: 'm' }))
      const { answer } = outcome.type === 'granted' ? outcome : assert.fail()
      assert.deepEqual(Object.entries(answer), Object.entries({ ...body, access_token: '', refresh_token: '' }))
    })
  }

  for (const [name, members, life] of lives) {
    test(`${product.name} reads the life of a session from ${name}`, () => {
      const body = JSON.stringify({ access_token: 'opaque', refresh_token: 'r', ...members })
      assert.equal(lifeOf(understand(password, 200, body)), life)
    })
  }

  test(`${product.name} leaves the refresh token out when an answer brings none, so that the old one is kept`, () => {
    for (const none of [{}, { refresh_token: null }, { refresh_token: '' }]) {
      const body = JSON.stringify({ access_token: 'a', expires_in: 60, ...none })
      assert.deepEqual(tokensOf(understand(refresh, 200, body)), { accessToken: 'a', life: 60_000 })
    }
  })

  test(`${product.name} keeps no member of an answer that could hold a secret nobody knows of`, () => {
    const harmless = { userName: 'Admin', roleName: null, shortLived: true, expires_in: 60, token_type: 'bearer' }
    const doubtful = {
      id_token: 'a',
      updater_token: 'a',
      clientSecret: 'a',
      encrypted_code: 'a',
      redirectTo: 'https://sso.example/?t=a',
      antiForgery: 'a',
      sessionId: 'a',
      note: 'the token is opaque-token-1',
      blob: 'x'.repeat(200),
      nested: { a: 1 },
      list: ['a'],
    }
    const body = JSON.stringify({ access_token: 'opaque-token-1', ...doubtful, ...harmless })
    const outcome = understand(password, 200, body)
    const { answer } = outcome.type === 'granted' ? outcome : assert.fail()
    assert.deepEqual(answer, { access_token: '', ...harmless })
  })

  test(`${product.name} takes an access token in any 2xx for success, with a byte order mark before it too`, () => {
    for (const status of [200, 201, 202]) {
      assert.equal(understand(password, status, '\uFEFF{"access_token":"a"}').type, 'granted')
    }
  })

  if (product.mfa) {
    test(`${product.name} takes a 200 and a 202 without an access token for 'MFA required'`, () => {
      const wanted = { type: 'mfa-required', mfaToken: 'bWZh==' }
      assert.deepEqual(understand(password, 200, JSON.stringify(azureMfa)), wanted)
      const google = JSON.stringify({ mfa_token: 'bWZh==', description: 'mfa required' })
      assert.deepEqual(understand(password, 202, google), wanted)
    })

    test(`${product.name} tells a refused code from an mfa_token that has expired`, () => {
      const wrong = JSON.stringify({ detail: 'The verification code is incorrect.' })
      const expired = JSON.stringify({ detail: 'The mfa token is invalid or has expired.' })
      for (const status of [400, 401]) {
        assert.throws(() => understand(mfa, status, wrong), isFailure('CODE_REFUSED'))
        assert.throws(() => understand(mfa, status, expired), isFailure('MFA_EXPIRED'))
      }
    })
  }
}

function isFailure(code: string): (error: unknown) => boolean {
  return error => error instanceof Failure && error.code === code
}
