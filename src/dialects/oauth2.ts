import Type from 'typebox'
import { Check } from 'typebox/value'
import { Failure } from '../errors.ts'
import type { CredentialPath, Grant, Outcome, Tokens, WireAnswer } from './dialect.ts'
import { withoutSecrets } from './sign-in-answer.ts'

/**
 * What no appliance of any product gets from a caller: each product's documents name some of these paths, and an
 * appliance may have another product's service beside its own (the Azure guide's 'Configuration Restore' is one). They
 * count below any sequence of `/api`, `/restoreservice` and versions (`/v8`, `/v8.1`).
 */
export const sharedCredentialPaths: readonly CredentialPath[] = [
  { kind: 'token', path: below('(?:/oauth2?)?/token') },
  { kind: 'sign-out', path: below('(?:/oauth2?)?(?:/token)?/(?:logout|logoff|signout|revoke)') },
  { kind: 'authorization-code', path: below('(?:/oauth2?)?(?:/token)?/(?:authorization_?code|auth_?code)') },
  { kind: 'other', path: below('/(?:oauth2?|token|connect|saml2?|sso)(?:/.*)?') },
  { kind: 'other', path: below('(?:/auth|/accounts?|/users?)?/(?:login|logon|signin)') },
]

function below(path: string): RegExp {
  return new RegExp(`^(?:/api|/restoreservice|/v[0-9][^/]*)*${path}$`)
}

/** Life assumed when an answer states none, in milliseconds. */
const DEFAULT_LIFE = 300_000
/** No token is trusted longer than a year, and no appliance is left alone for more than a day, whatever it says. */
const LONGEST_LIFE = 365 * 86_400_000
const LONGEST_WAIT = 86_400_000

/** Visible ASCII: what else RFC 6749 (appendix A.12) would allow cannot stand behind `Bearer`. */
const SENDABLE = /^[!-~]+$/

const Text = Type.Optional(Type.Union([Type.String(), Type.Null()]))

/** What the products' token answers have in common; everything else in them is left alone. */
const TokenAnswer = Type.Object({
  access_token: Text,
  refresh_token: Text,
  mfa_token: Text,
  expires_in: Type.Optional(Type.Union([Type.Number(), Type.String(), Type.Null()])),
  '.issued': Text,
  '.expires': Text,
})
type TokenAnswer = Type.Static<typeof TokenAnswer>

const Claims = Type.Object({
  exp: Type.Number(),
  iat: Type.Optional(Type.Number()),
  nbf: Type.Optional(Type.Number()),
})

/** application/x-www-form-urlencoded with everything but RFC 3986's unreserved characters percent-encoded. */
export function form(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${percentEncode(value)}`)
    .join('&')
}

function percentEncode(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

export const formFields = {
  'content-type': 'application/x-www-form-urlencoded',
  accept: 'application/json',
}

/**
 * The reading of token answers that the products share. Success is an access token in the body of a 2xx, whichever:
 * 'MFA required' is a 200 at one product and a 202 at another.
 */
export function understand(grant: Grant, answer: WireAnswer): Outcome {
  if (answer.status < 200 || answer.status > 299) throw refusal(grant, answer)
  const body = parseJson(answer.body)
  if (!Check(TokenAnswer, body)) {
    throw new Failure('ANSWER_BROKEN', `The appliance answered the sign-in with ${answer.status} and no token.`)
  }
  if (body.access_token && !SENDABLE.test(body.access_token)) {
    throw new Failure('ANSWER_BROKEN', 'The appliance answered the sign-in with a token that no field can carry.')
  }
  if (body.access_token) return granted(tokensOf(body.access_token, body), body)
  if (body.mfa_token) return { type: 'mfa-required', mfaToken: body.mfa_token }
  throw new Failure('ANSWER_BROKEN', `The appliance answered the sign-in with ${answer.status} and no token.`)
}

function granted(tokens: Tokens, body: TokenAnswer): Outcome {
  const secrets = [tokens.accessToken, tokens.refreshToken ?? '', body.mfa_token ?? '']
  return { type: 'granted', tokens, answer: withoutSecrets(body, secrets) }
}

function tokensOf(accessToken: string, body: TokenAnswer): Tokens {
  const tokens: Tokens = { accessToken, life: lifeOf(accessToken, body) }
  if (body.refresh_token) tokens.refreshToken = body.refresh_token
  return tokens
}

/**
 * The smallest positive of `expires_in`, `.expires` minus `.issued` and the JWT's own span, in milliseconds. Only
 * differences count: the appliance's clock is never compared with ours. The vendor's examples contradict themselves
 * here (3600 s beside 900 s in one answer), so the smallest is the only safe reading.
 */
function lifeOf(accessToken: string, body: TokenAnswer): number {
  const spans = [
    Number(body.expires_in ?? Number.NaN) * 1000,
    instant(body['.expires']) - instant(body['.issued']),
    jwtSpan(accessToken),
  ].filter(span => Number.isFinite(span) && span > 0)
  return spans.length > 0 ? Math.min(...spans, LONGEST_LIFE) : DEFAULT_LIFE
}

/** Milliseconds of an ISO 8601 text, which some builds write without a zone. */
function instant(text: string | null | undefined): number {
  if (!text) return Number.NaN
  return Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`)
}

function jwtSpan(token: string): number {
  const claims = parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  if (!Check(Claims, claims)) return Number.NaN
  return (claims.exp - (claims.iat ?? claims.nbf ?? Number.NaN)) * 1000
}

function refusal(grant: Grant, answer: WireAnswer): Failure {
  const said = `The appliance answered the sign-in with ${answer.status}${spoken(answer.body)}.`
  const { status } = answer
  if (status < 400) return new Failure('ANSWER_BROKEN', said)
  if (status === 404 || status === 405 || status === 410 || status === 501) return new Failure('SIGN_IN_UNKNOWN', said)
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return new Failure('APPLIANCE_BUSY', said, { retryAfter: retryAfter(answer) })
  }
  if (status === 406 || status === 415) return new Failure('ANSWER_BROKEN', said)
  if (/api.?version/i.test(answer.body)) return new Failure('VERSION_REFUSED', said)
  if (grant.type !== 'mfa') return new Failure('SIGN_IN_REFUSED', said)
  return new Failure(blamesMfaToken(said) ? 'MFA_EXPIRED' : 'CODE_REFUSED', said)
}

/** The documents show no answer to an expired `mfa_token`; a text that blames the token and not the code is one. */
function blamesMfaToken(text: string): boolean {
  return /token\W+(?:\w+\W+){0,3}expired/i.test(text) || (/expired|mfa.?token/i.test(text) && !/code/i.test(text))
}

/**
 * Milliseconds of `Retry-After` (RFC 9110, section 10.2.3), undefined when there is none that can be read. A date is
 * held against the answer's own `Date`, so that the appliance's clock may be wrong.
 */
function retryAfter(answer: WireAnswer): number | undefined {
  const value = answer.fields['retry-after']
  if (typeof value !== 'string') return undefined
  if (/^\s*\d+\s*$/.test(value)) return Math.min(Number(value) * 1000, LONGEST_WAIT)
  const wait = Date.parse(value) - (Date.parse(String(answer.fields.date)) || Date.now())
  return Number.isFinite(wait) ? Math.min(Math.max(0, wait), LONGEST_WAIT) : undefined
}

/** What the appliance said about it, on one line however long: the forms of RFC 6749 (5.2), RFC 9457 and the vendor's own. */
function spoken(body: string): string {
  const parsed = parseJson(body)
  if (typeof parsed !== 'object' || parsed === null) return ''
  const members = new Map<string, unknown>(Object.entries(parsed))
  const text = ['error_description', 'detail', 'details', 'message', 'title', 'error']
    .map(name => members.get(name))
    .find(value => typeof value === 'string' && value !== '')
  if (typeof text !== 'string') return ''
  return `: ${text
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .replace(/\.$/, '')}`
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return undefined
  }
}
