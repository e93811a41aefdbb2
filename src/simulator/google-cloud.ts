/**
 * Veeam Backup for Google Cloud, from its 'Requesting Authorization' pages; no OpenAPI document is public.
 * Where they leave room: errors are problem documents as the same family's product for AWS documents them, with its
 * `type` paths for tokens and versions; whatever the token endpoint refuses for its credentials is 401, whatever for
 * its form 400. A refused version is answered in the words of the vendor's product for VMware, which name those that are
 * served, each with a `v` in front. A page has both shapes that are known of it, `meta` and `pagination`.
 */
import { type Answer, bearer, type Exchange, field, problemJson } from './answer.ts'
import { mediaType, parseForm, readText } from './body.ts'
import { googleCloudLists } from './google-cloud-lists.ts'
import { readPage, slice, splitRest } from './paging.ts'
import type { Appliance, Manner, Place, Profile } from './profile.ts'
import type { Pair } from './tokens.ts'

const revisions = ['1.0-rev0', '1.1-rev0', '1.2-rev0', '1.3-rev0', '1.4-rev0']
const booleans = ['true', 'false', undefined]

export const googleCloud: Profile = {
  tokenLife: 900,
  refreshLife: () => 1_209_600,
  // The example's JWT: 4500 s for an access token of 900 s.
  shortRefreshLife: tokenLife => tokenLife + 3600,
  algorithm: 'RS512',
  claims: (kind, pair, iat, exp) => {
    const base = { unique_name: pair.session.username, nbf: iat, exp, iat }
    if (kind === 'access') return { ...base, aud: 'access' }
    const shortTerm = pair.session.shortTerm ? 'True' : 'False'
    return { ...base, token_id: pair.id, short_term_expiration: shortTerm, aud: 'refresh' }
  },
  root: '/api/v1/simulator',
  start,
}

function start(appliance: Appliance): Manner {
  const { authority, counts } = appliance
  const lists = googleCloudLists(appliance.random)
  const names = Object.keys(lists)
  const supported = appliance.supportedVersions ?? revisions

  const authorize: Manner['authorize'] = ({ request }) => {
    const pair = authority.tokens.check(bearer(request))
    return typeof pair === 'string' ? { refusal: unauthorized[pair] } : { pair }
  }

  /** Sign-out and the making of authorization codes need a session. */
  const withSession = (exchange: Exchange, act: (pair: Pair) => Answer): Answer => {
    const authorized = authorize(exchange)
    if ('pair' in authorized) return act(authorized.pair)
    counts.unauthorized += 1
    return authorized.refusal
  }

  const token = async (exchange: Exchange, { rest }: Place): Promise<Answer> => {
    const { request } = exchange
    if (rest === '/authorization_code') {
      if (request.method !== 'POST') return problem(405, 'methodNotAllowed', 'MethodNotAllowed')
      return withSession(exchange, () => ({ status: 200, body: { code: authority.issueCode() } }))
    }
    if (request.method === 'DELETE') {
      return withSession(exchange, pair => {
        authority.signOut(pair)
        return { status: 204 }
      })
    }
    if (request.method !== 'POST') return problem(405, 'methodNotAllowed', 'MethodNotAllowed')
    if (mediaType(request) !== 'application/x-www-form-urlencoded') {
      return problem(415, 'unsupportedMediaType', 'UnexpectedContent')
    }
    const text = await readText(request)
    const fields = text === undefined ? undefined : parseForm(text)
    return fields === undefined ? malformed('The form cannot be read.') : grant(fields)
  }

  const grant = (fields: Map<string, string>): Answer => {
    const wish = fields.get('use_short_term_refresh')?.toLowerCase()
    if (!booleans.includes(wish)) return malformed('use_short_term_refresh is true or false.')
    switch (fields.get('grant_type')) {
      case 'password': {
        const username = fields.get('username')
        const password = fields.get('password')
        if (!username || !password) return malformed('username and password are required.')
        const outcome = authority.signIn(username, password, { shortTerm: wish === 'true' })
        if (outcome === 'refused') return refused('invalidCredentials', 'The user name or the password is incorrect.')
        if ('pair' in outcome) return tokens(outcome.pair)
        return { status: 202, body: { mfa_token: outcome.mfaToken, description: 'mfa required' } }
      }
      case 'mfa': {
        const mfaToken = fields.get('mfa_token')
        const code = fields.get('mfa_code')
        if (!mfaToken || !code) return malformed('mfa_token and mfa_code are required.')
        const outcome = authority.completeMfa(mfaToken, code)
        if (outcome === 'unknown-token') return refused('invalidMfaToken', 'The mfa token is invalid or has expired.')
        if (outcome === 'wrong-code') return refused('invalidMfaCode', 'The verification code is incorrect.')
        return tokens(outcome)
      }
      case 'refresh_token': {
        const refreshToken = fields.get('refresh_token')
        if (!refreshToken) return malformed('refresh_token is required.')
        const pair = authority.findRefresh(refreshToken)
        if (pair === undefined) return refused('invalidRefreshToken', 'The refresh token is invalid or has expired.')
        pair.session.shortTerm ||= wish === 'true'
        return tokens(authority.renew(pair))
      }
      case 'authorization_code': {
        const code = fields.get('code')
        if (!code) return malformed('code is required.')
        const pair = authority.redeemCode(code)
        if (pair === undefined) return refused('invalidAuthorizationCode', 'The code is invalid or has expired.')
        return tokens(pair)
      }
      default:
        return malformed('grant_type is missing or not supported.')
    }
  }

  const resource = ({ request, query }: Exchange, { rest }: Place): Answer | undefined => {
    const found = splitRest(rest, names)
    const items = found === undefined ? undefined : lists[found.list]
    if (found === undefined || items === undefined) return undefined
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return problem(405, 'methodNotAllowed', 'MethodNotAllowed')
    }
    if (found.id !== undefined) {
      const item = items.find(({ id }) => id === found.id)
      return item && { status: 200, body: item }
    }
    const page = readPage(query, { offset: '$offset', limit: '$limit', defaultLimit: 100, maximumLimit: 1000 })
    if (page === undefined) return malformed('$offset and $limit must be numbers.')
    const totalCount = items.length
    return {
      status: 200,
      body: { data: slice(items, page), meta: { ...page, totalCount }, pagination: { ...page, total: totalCount } },
    }
  }

  return {
    locate,
    precondition: ({ request }) => {
      const revision = field(request, 'x-api-version')
      if (revision === undefined) {
        return problem(400, 'apiVersionUnspecified', 'UnexpectedContent', 'The x-api-version field is required.')
      }
      if (supported.includes(revision)) return undefined
      const list = supported.map(version => `v${version}`).join(', ')
      const details = `Unsupported RESTAPI version. The following versions are supported: ${list}.`
      return problem(400, 'unsupportedApiVersion', 'UnexpectedContent', details)
    },
    token,
    authorize,
    resource,
    failure: (status, detail) => problem(status, 'unknown', status === 404 ? 'NotFound' : 'UnknownError', detail),
  }
}

/** The pages write the token's path with a slash at its end and without. */
function locate(path: string): Place | undefined {
  const match = /^\/api\/v1(\/.*)$/.exec(path)
  if (match === null) return undefined
  const rest = match[1] ?? ''
  const bare = rest.replace(/\/$/, '')
  const kind = bare === '/token' || bare === '/authorization_code' ? 'token' : 'resource'
  return { kind, version: 'v1', rest: kind === 'token' ? bare : rest }
}

function problem(status: number, type: string, errorCode: string, details = ''): Answer {
  return {
    status,
    fields: { 'content-type': problemJson },
    body: { type: `/api/v1/problems/${type}`, title: type, status, errorCode, details },
  }
}

function malformed(details: string): Answer {
  return problem(400, 'invalidRequest', 'UnexpectedContent', details)
}

function refused(type: string, details: string): Answer {
  return problem(401, type, 'AccessDenied', details)
}

const challenge = { 'content-type': problemJson, 'www-authenticate': 'Bearer' }
const unauthorized = {
  missing: { ...problem(401, 'noAccessToken', 'InvalidToken'), fields: challenge },
  unknown: { ...problem(401, 'invalidAccessToken', 'InvalidToken'), fields: challenge },
  expired: { ...problem(401, 'expiredAccessToken', 'ExpiredToken'), fields: challenge },
}

function tokens(pair: Pair): Answer {
  return {
    status: 200,
    body: {
      access_token: pair.access,
      token_type: 'bearer',
      refresh_token: pair.refresh,
      expires_in: pair.expiresIn,
      '.issued': instant(pair.issuedAt),
      '.expires': instant(pair.issuedAt + pair.expiresIn * 1000),
    },
  }
}

/** Universal time, whole seconds, no zone: as in the examples. */
function instant(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 19)
}
