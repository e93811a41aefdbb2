/**
 * Veeam Backup for Microsoft Azure, from its 'Requesting Authorization' pages and its OpenAPI document v8.1.
 * Where they leave room: names and values of the password grant are compared without regard to case, because the
 * pages write `Username=…&grant_type=Password` and the OpenAPI document `username`, and ASP.NET binds both. The token
 * endpoint answers 400 to whatever it refuses; the document declares 400 and 401 and says not which is for what.
 */
import { randomUUID } from 'node:crypto'
import { type Answer, bearer, type Exchange, problemJson } from './answer.ts'
import { azureLists } from './azure-lists.ts'
import { mediaType, parseForm, readText } from './body.ts'
import { type Item, readPage, slice, splitRest } from './paging.ts'
import type { Appliance, Manner, Place, Profile } from './profile.ts'
import type { Pair } from './tokens.ts'

const tokenPath = '/api/oauth2/token'
const versions = ['v5', 'v6', 'v7', 'v8', 'v8.1']
const known = new Set([
  'grant_type',
  'username',
  'password',
  'refresh_token',
  'mfa_token',
  'mfa_code',
  'updater_token',
  'saml_response',
  'sso_token',
  'authorization_code',
  'short_lived_refresh_token',
])

export const azure: Profile = {
  tokenLife: 3600,
  refreshLife: () => 1_209_600,
  // 'Authorization security' says 15 minutes, the OpenAPI document 60: the shorter is the safer to be tested with.
  shortRefreshLife: () => 900,
  algorithm: 'RS512',
  claims: (kind, pair, iat, exp) => ({
    jti: pair.id,
    unique_name: pair.session.username,
    role: 'Administrator',
    nbf: iat,
    exp,
    iat,
    aud: `${kind === 'access' ? 'api/default' : 'auth/refresh'}/${pair.session.id}`,
  }),
  root: '/api/v8.1/simulator',
  start,
}

function start(appliance: Appliance): Manner {
  const { authority, counts, origin } = appliance
  const lists = azureLists(appliance.random)
  const names = Object.keys(lists)

  const token = async ({ request }: Exchange): Promise<Answer> => {
    if (request.method === 'DELETE') {
      const pair = authority.tokens.check(bearer(request))
      if (typeof pair === 'string') {
        counts.unauthorized += 1
        return unauthorized(pair)
      }
      authority.signOut(pair)
      return { status: 204 }
    }
    if (request.method !== 'POST') return { ...problem(405, 'Method Not Allowed'), fields: { allow: 'POST, DELETE' } }
    if (mediaType(request) !== 'application/x-www-form-urlencoded') return problem(415, 'Unsupported Media Type')
    const text = await readText(request)
    if (text === undefined) return problem(413, 'Payload Too Large')
    const fields = readFields(text)
    if (fields === undefined) return invalid('The form has a field twice, or one that is not known.')
    return grant(fields)
  }

  const grant = (fields: Map<string, string>): Answer => {
    const shortTerm = fields.get('short_lived_refresh_token')?.toLowerCase() === 'true'
    switch (fields.get('grant_type')?.toLowerCase()) {
      case 'password': {
        const username = fields.get('username')
        const password = fields.get('password')
        if (!username || !password) return invalid('The Username and Password fields are required.')
        const outcome = authority.signIn(username, password, { shortTerm })
        if (outcome === 'refused') return invalid('The user name or the password is incorrect.')
        return { status: 200, body: 'pair' in outcome ? tokens(outcome.pair) : mfaRequired(username, outcome.mfaToken) }
      }
      case 'mfa': {
        const mfaToken = fields.get('mfa_token')
        const code = fields.get('mfa_code')
        if (!mfaToken || !code) return invalid('The mfa_token and mfa_code fields are required.')
        const outcome = authority.completeMfa(mfaToken, code)
        if (outcome === 'unknown-token') return invalid('The MFA token is invalid or has expired.')
        if (outcome === 'wrong-code') return invalid('The verification code is incorrect.')
        return { status: 200, body: tokens(outcome) }
      }
      case 'refresh_token': {
        const refreshToken = fields.get('refresh_token')
        if (!refreshToken) return invalid('The refresh_token field is required.')
        const pair = authority.findRefresh(refreshToken)
        if (pair === undefined) return invalid('The refresh token is invalid or has expired.')
        return { status: 200, body: tokens(authority.renew(pair)) }
      }
      // The enumeration has the first spelling, its description the second.
      case 'authentication_code':
      case 'authorization_code': {
        const pair = authority.redeemCode(fields.get('authorization_code') ?? '')
        if (pair === undefined) return invalid('The authorization code is invalid or has expired.')
        return { status: 200, body: tokens(pair) }
      }
      default:
        return invalid('The grant_type field is missing or not supported.')
    }
  }

  const resource = ({ request, query }: Exchange, { version, rest }: Place): Answer | undefined => {
    const found = splitRest(rest, names)
    const items = found === undefined ? undefined : lists[found.list]
    if (found === undefined || items === undefined) return undefined
    if (request.method !== 'GET' && request.method !== 'HEAD') return problem(405, 'Method Not Allowed')
    const base = `${origin}/api/${version}/${found.list}`
    const linked = (item: Item) => ({ ...item, _links: { self: { href: `${base}/${item.id}` } } })
    if (found.id !== undefined) {
      const item = items.find(({ id }) => id === found.id)
      return item && { status: 200, body: linked(item) }
    }
    const page = readPage(query, { offset: 'offset', limit: 'limit', defaultLimit: 100, maximumLimit: 1000 })
    if (page === undefined) return invalid('Offset and Limit must be numbers.')
    const { offset, limit } = page
    const link = (at: number) => ({ href: `${base}?offset=${at}&limit=${limit}` })
    const links = {
      self: link(offset),
      first: link(0),
      ...(offset > 0 ? { prev: link(Math.max(0, offset - limit)) } : {}),
      ...(offset + limit < items.length ? { next: link(offset + limit) } : {}),
    }
    const results = slice(items, page).map(linked)
    return { status: 200, body: { offset, limit, totalCount: items.length, _links: links, results } }
  }

  return {
    locate,
    token,
    authorize: ({ request }) => {
      const pair = authority.tokens.check(bearer(request))
      return typeof pair === 'string' ? { refusal: unauthorized(pair) } : { pair }
    },
    resource,
    failure: (status, detail) => problem(status, 'The request failed', { detail }),
  }
}

function locate(path: string): Place | undefined {
  if (path.toLowerCase() === tokenPath) return { kind: 'token', version: '', rest: '' }
  const match = /^\/api\/(v[\d.]+)(\/.*)$/i.exec(path)
  const version = versions.find(entry => entry === match?.[1]?.toLowerCase())
  return version === undefined ? undefined : { kind: 'resource', version, rest: match?.[2] ?? '' }
}

/** Names in lower case; undefined when one is unknown, for the document allows no additional properties. */
function readFields(text: string): Map<string, string> | undefined {
  const fields = new Map<string, string>()
  const form = parseForm(text)
  if (form === undefined) return undefined
  for (const [name, value] of form) {
    const lower = name === 'Username' || name === 'Password' ? name.toLowerCase() : name
    if (!known.has(lower) || fields.has(lower)) return undefined
    fields.set(lower, value)
  }
  return fields
}

function tokens(pair: Pair): object {
  return {
    access_token: pair.access,
    token_type: 'bearer',
    refresh_token: pair.refresh,
    expires_in: pair.expiresIn,
    '.issued': instant(pair.issuedAt),
    '.expires': instant(pair.issuedAt + pair.expiresIn * 1000),
    username: pair.session.username,
    roleName: 'Administrator',
    mfa_enabled: false,
  }
}

/** A success by its status, without an access token: the page's example, dates included. */
function mfaRequired(username: string, mfaToken: string): object {
  return {
    token_type: 'bearer',
    expires_in: 0,
    '.issued': '0001-01-01T00:00:00',
    '.expires': '0001-01-01T00:00:00',
    username,
    roleName: 'Administrator',
    mfa_enabled: true,
    mfa_token: mfaToken,
  }
}

/** Seven digits of a second, as .NET writes them. */
function instant(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '4606Z')
}

function problem(status: number, title: string, more: object = {}): Answer {
  const traceId = `00-${randomUUID().replaceAll('-', '')}-0000000000000001-00`
  const type = 'https://datatracker.ietf.org/doc/html/rfc9110#section-15'
  return { status, fields: { 'content-type': problemJson }, body: { type, title, status, ...more, traceId } }
}

function invalid(detail: string): Answer {
  return problem(400, 'One or more validation errors occurred.', { detail, errors: { '': [detail] } })
}

function unauthorized(why: 'missing' | 'unknown' | 'expired'): Answer {
  const detail = { missing: 'No access token.', unknown: 'Unknown access token.', expired: 'Expired access token.' }[
    why
  ]
  const challenge = why === 'missing' ? 'Bearer' : 'Bearer error="invalid_token"'
  return {
    status: 401,
    fields: { 'content-type': problemJson, 'www-authenticate': challenge },
    body: { type: 'about:blank', title: 'Unauthorized', status: 401, detail, extensions: {} },
  }
}
