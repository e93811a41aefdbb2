/**
 * Veeam Backup for Microsoft 365, from its 'Authorization' page and its OpenAPI document v8.
 * Where they leave room: the antiforgery token comes as two cookies (the page says it is stored in 'web browser
 * cookies' and names none); a request without them is refused like one with a bad token, a refresh without them like a
 * bad refresh token; a refused grant is 400, with the OAuth 2.0 body up to v5 and the document's error body since v6.
 */
import { type Answer, bearer, type Exchange } from './answer.ts'
import { Antiforgery } from './antiforgery.ts'
import { mediaType, parseForm, parseJsonFields, readText } from './body.ts'
import { microsoft365Lists } from './microsoft365-lists.ts'
import { type Item, readPage, slice, splitRest } from './paging.ts'
import type { Appliance, Manner, Place, Profile } from './profile.ts'
import type { Pair } from './tokens.ts'

const versions = ['v5', 'v6', 'v7', 'v8']

export const microsoft365: Profile = {
  tokenLife: 3600,
  // The page's example: the refresh token's `exp` is one hour after the access token's.
  refreshLife: tokenLife => tokenLife + 3600,
  shortRefreshLife: tokenLife => tokenLife + 3600,
  algorithm: 'RS256',
  // No `iat` and no `nbf`, as in the example.
  claims: (kind, pair, _iat, exp) => ({
    tokenType: kind === 'access' ? 'Access' : 'Refresh',
    jti: pair.id,
    'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name': pair.session.username,
    credentialKey: pair.session.id,
    credentialType: 'UsernamePassword',
    exp,
    iss: '127.0.0.1',
  }),
  root: '/v8/simulator',
  start,
}

function start(appliance: Appliance): Manner {
  const { authority, counts, origin } = appliance
  const antiforgery = new Antiforgery({
    now: appliance.now,
    fieldName: appliance.antiforgeryField,
    secure: origin.startsWith('https:'),
  })
  const lists = microsoft365Lists(appliance.random)
  const names = Object.keys(lists)
  const setId = appliance.random.uuid()
  const installationId = appliance.random.uuid()

  const authorize: Manner['authorize'] = ({ request }) => {
    const pair = authority.tokens.check(bearer(request))
    if (typeof pair === 'string' || !antiforgery.admits(request, pair)) return { refusal: unauthorized }
    return { pair }
  }

  const token = async (exchange: Exchange, { version, rest }: Place): Promise<Answer> => {
    const { request } = exchange
    if (request.method !== 'POST') return { status: 405, fields: { allow: 'POST' } }
    if (rest !== '/token') return signOut(exchange, version)
    const text = await readText(request)
    if (text === undefined) return { status: 413 }
    const type = mediaType(request)
    if (type !== 'application/x-www-form-urlencoded' && type !== 'application/json') return { status: 415 }
    const fields = type === 'application/json' ? parseJsonFields(text) : parseForm(text)
    return fields === undefined ? refused(version, 'The body cannot be read.') : grant(exchange, version, fields)
  }

  const signOut = (exchange: Exchange, version: string): Answer => {
    const authorized = authorize(exchange)
    if ('refusal' in authorized) {
      counts.unauthorized += 1
      return authorized.refusal
    }
    authority.signOut(authorized.pair)
    return { status: version === 'v8' ? 204 : 200 }
  }

  const grant = ({ request }: Exchange, version: string, fields: Map<string, string>): Answer => {
    const knowsFlag = version === 'v7' || version === 'v8'
    const disabled = knowsFlag && fields.get('disable_antiforgery_token')?.toLowerCase() === 'true'
    const claims = disabled ? {} : { antiforgery: 'True' }
    switch (fields.get('grant_type')) {
      case 'password': {
        const outcome = authority.signIn(fields.get('username') ?? '', fields.get('password') ?? '', { claims })
        // Multi-factor authentication is not offered for this product's REST API.
        if (outcome === 'refused' || 'mfaToken' in outcome) return refused(version, 'Invalid user name or password.')
        return tokens(outcome.pair, disabled ? [] : antiforgery.protect(outcome.pair))
      }
      case 'refresh_token': {
        const old = authority.findRefresh(fields.get('refresh_token') ?? '')
        if (old === undefined) return refused(version, 'Refresh token is invalid or expired.')
        if (!antiforgery.admits(request, old)) {
          authority.refuseRefresh()
          return refused(version, 'Antiforgery token is missing or invalid.')
        }
        old.session.claims = claims
        const pair = authority.renew(old)
        return tokens(pair, disabled ? [] : antiforgery.carryOver(old, pair))
      }
      default:
        return refused(version, 'Grant type is missing or not supported.')
    }
  }

  const resource = ({ request, query }: Exchange, { version, rest }: Place): Answer | undefined => {
    const lower = rest.toLowerCase()
    const reads = request.method === 'GET' || request.method === 'HEAD'
    if (lower === '/health') return reads ? { status: 200, body: health } : { status: 405 }
    if (lower === '/serviceinstance' && reads) return { status: 200, body: { installationId, version: '8.0.2.159' } }
    const found = splitRest(rest, names)
    const items = found === undefined ? undefined : lists[found.list]
    if (found === undefined || items === undefined) return undefined
    if (!reads) return failure(405, 'The method is not allowed.')
    // Absolute up to v5; 'links do not include either the DNS name or IP address' since v6.
    const base = `${version === 'v5' ? origin : ''}/${version}/${found.list}`
    const linked = (item: Item) => ({ ...item, _links: { self: { href: `${base}/${item.id}` } } })
    if (found.id !== undefined) {
      const item = items.find(({ id }) => id === found.id)
      return item && { status: 200, body: linked(item) }
    }
    const page = readPage(query, { offset: 'offset', limit: 'limit', defaultLimit: 30, maximumLimit: 10_000 })
    if (page === undefined) return failure(400, 'Offset and limit must be numbers.')
    const { offset, limit } = page
    const link = (at: number) => ({ href: `${base}?limit=${limit}&offset=${at}&setId=${setId}` })
    const links = {
      self: link(offset),
      ...(offset > 0 ? { prev: link(Math.max(0, offset - limit)) } : {}),
      ...(offset + limit < items.length ? { next: link(offset + limit) } : {}),
    }
    return { status: 200, body: { offset, limit, setId, results: slice(items, page).map(linked), _links: links } }
  }

  return {
    locate,
    token,
    authorize,
    resource,
    failure,
    cookieNames: antiforgery.names,
    resourceFields: ({ request }, pair): Record<string, string[]> => {
      const cookies = appliance.rotateCookies ? antiforgery.rotate(request, pair) : []
      return cookies.length === 0 ? {} : { 'set-cookie': cookies }
    },
  }
}

/** Paths are compared without regard to case: the vendor's own examples write `/v8/Token` too. */
function locate(path: string): Place | undefined {
  const match = /^\/(v\d+)(\/.*)$/i.exec(path)
  const version = versions.find(entry => entry === match?.[1]?.toLowerCase())
  const rest = match?.[2] ?? ''
  if (version === undefined) return undefined
  const lower = rest.toLowerCase()
  if (lower === '/token') return { kind: 'token', version, rest: lower }
  // Only v7 and v8 have a sign-out.
  if (lower === '/token/logout') return version < 'v7' ? undefined : { kind: 'token', version, rest: lower }
  return { kind: lower === '/health' ? 'anonymous' : 'resource', version, rest }
}

const health = {
  status: 'Healthy',
  entries: {
    nats: { status: 'Healthy', description: 'NATS server is available.' },
    postgreSql: { status: 'Healthy', description: 'Configuration database is available.' },
  },
}

/** A rejected token gets an empty body. */
const unauthorized: Answer = { status: 401, fields: { 'www-authenticate': 'Bearer' } }

function failure(status: number, message: string): Answer {
  return { status, body: { message, errorCode: status === 404 ? 'ResourceNotFound' : 'HttpError' } }
}

function refused(version: string, message: string): Answer {
  if (version === 'v5') return { status: 400, body: { error: 'invalid_grant', error_description: message } }
  return { status: 400, body: version === 'v8' ? { message, errorCode: 'HttpError' } : { message } }
}

function tokens(pair: Pair, cookies: string[]): Answer {
  return {
    status: 200,
    ...(cookies.length === 0 ? {} : { fields: { 'set-cookie': cookies } }),
    body: {
      access_token: pair.access,
      refresh_token: pair.refresh,
      token_type: 'bearer',
      expires_in: pair.expiresIn,
      userName: pair.session.username,
      '.issued': instant(pair.issuedAt),
      '.expires': instant(pair.issuedAt + pair.expiresIn * 1000),
    },
  }
}

/** Seven digits of a second, as .NET writes them. */
function instant(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '8632Z')
}
