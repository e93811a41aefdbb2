import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Grant, products } from '../src/dialects/index.ts'
import { Failure } from '../src/errors.ts'
import { defaultOptions } from './rig.ts'

const grants: readonly Grant[] = [
  { type: 'password', username: 'a', password: 'b' },
  { type: 'refresh_token', refreshToken: 'r' },
]

const refused = [
  { status: 400, body: '{"error":"invalid_grant","error_description":"Wrong."}' },
  { status: 400, body: '{"title":"One or more validation errors occurred.","detail":"Wrong."}' },
  { status: 400, body: '{"message":"Wrong.","errorCode":"HttpError"}' },
  { status: 401, body: '{"type":"/api/v1/problems/invalidCredentials","status":401,"details":"Wrong."}' },
  { status: 401, body: '' },
  { status: 403, body: '' },
  { status: 400, body: '<!DOCTYPE html>' },
]

/** 2xx and 3xx that bring neither a token nor a demand for a code. */
const broken: [string, number, string][] = [
  ['an empty body', 200, ''],
  ['HTML', 200, '<!DOCTYPE html><title>Sign in</title>'],
  ['an array', 200, '[]'],
  ['null', 200, 'null'],
  ['a string', 200, '"access_token"'],
  ['half a JSON text', 200, '{"access_token":"a'],
  ['an object without a token', 200, '{"token_type":"bearer","expires_in":3600}'],
  ['an empty access token', 200, '{"access_token":""}'],
  ['an access token that is a number', 200, '{"access_token":1}'],
  ['an access token that is an object', 200, '{"access_token":{"a":1}}'],
  ['an access token that is a list', 200, '{"access_token":["a"]}'],
  ['no content', 204, ''],
  ['a redirection', 302, ''],
]

for (const product of products) {
  const dialect = product.dialect(defaultOptions(product.name))
  const failureOf = (grant: Grant, status: number, body: string, fields: Record<string, string> = {}): Failure => {
    try {
      dialect.understand(grant, { status, fields, body })
    } catch (error) {
      if (error instanceof Failure) return error
      throw error
    }
    throw new assert.AssertionError({ message: `${status} ${body} was understood as a success` })
  }
  const each = (check: (grant: Grant) => void) => grants.forEach(check)

  test(`${product.name} takes 400, 401 and 403 for refused credentials, whatever the body looks like`, () => {
    each(grant => {
      for (const { status, body } of refused) assert.equal(failureOf(grant, status, body).code, 'SIGN_IN_REFUSED', body)
    })
  })

  test(`${product.name} repeats what the appliance said of a refusal, on one line`, () => {
    const { message } = failureOf(grants[0] ?? assert.fail(), 400, '{"error_description":"Wrong\\r\\nname.\\u0000"}')
    assert.match(message, /Wrong name/)
    assert.doesNotMatch(message, /\p{Cc}/u)
  })

  test(`${product.name} takes a 404 for a wrong port or product, not for a wrong password`, () => {
    each(grant => {
      for (const status of [404, 405]) assert.equal(failureOf(grant, status, '').code, 'SIGN_IN_UNKNOWN')
    })
  })

  test(`${product.name} takes 429 and 5xx for an appliance that is busy`, () => {
    each(grant => {
      for (const status of [408, 429, 500, 502, 503, 504]) {
        const failure = failureOf(grant, status, '{"message":"The simulator was told to fail."}')
        assert.equal(failure.code, 'APPLIANCE_BUSY', String(status))
        assert.equal(failure.retryAfter, undefined)
      }
    })
  })

  test(`${product.name} reads Retry-After in seconds and as a date, by the appliance's own clock`, () => {
    const waits: [Record<string, string>, number | undefined][] = [
      [{ 'retry-after': '7' }, 7000],
      [{ 'retry-after': '0' }, 0],
      [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT', date: 'Wed, 21 Oct 2015 07:28:00 GMT' }, 30_000],
      [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT', date: 'Wed, 21 Oct 2015 07:28:30 GMT' }, 0],
      [{ 'retry-after': 'presently' }, undefined],
    ]
    each(grant => {
      for (const [fields, wait] of waits) {
        assert.equal(failureOf(grant, 429, '', fields).retryAfter, wait, JSON.stringify(fields))
        assert.equal(failureOf(grant, 503, '', fields).retryAfter, wait, JSON.stringify(fields))
      }
    })
  })

  test(`${product.name} holds a Retry-After date against our clock where the answer has no Date`, () => {
    const in30s = new Date(Date.now() + 30_000).toUTCString()
    const wait = failureOf(grants[0] ?? assert.fail(), 429, '', { 'retry-after': in30s }).retryAfter ?? 0
    assert.ok(wait > 25_000 && wait <= 30_000, String(wait))
  })

  test(`${product.name} tells a refused API version from refused credentials`, () => {
    const body = '{"type":"/api/v1/problems/unsupportedApiVersion","status":400,"details":"Not supported."}'
    each(grant => assert.equal(failureOf(grant, 400, body).code, 'VERSION_REFUSED'))
  })

  for (const [name, status, body] of broken) {
    test(`${product.name} takes ${name} as an answer to a sign-in for broken`, () => {
      each(grant => assert.equal(failureOf(grant, status, body).code, 'ANSWER_BROKEN'))
    })
  }
}
