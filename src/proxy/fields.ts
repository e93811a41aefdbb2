import type { IncomingHttpHeaders } from 'node:http'
import type { LiveSession } from '../session/live.ts'

/** Between one hop and the next only (RFC 9110, section 7.6.1, and what came before it). */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]

/** What a caller may not tell the appliance: who it is, where it comes from, or anything of a session. */
const NEVER_UP = new Set([
  ...HOP_BY_HOP,
  'host',
  'expect',
  'authorization',
  'cookie',
  'cookie2',
  'forwarded',
  'via',
  'origin',
  'x-real-ip',
  'true-client-ip',
  // They would put another path or method in the place of those that the rules have judged.
  'x-original-url',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-proxy-key',
  'x-csrf-token',
  'x-xsrf-token',
  'x-restsvcsessionid',
  'requestverificationtoken',
])

/** What the appliance may not tell a caller: its session, and orders to a browser about an origin that is not its own. */
const NEVER_DOWN = new Set([
  ...HOP_BY_HOP,
  'set-cookie',
  'set-cookie2',
  'www-authenticate',
  'proxy-authenticate',
  'authentication-info',
  'proxy-authentication-info',
  'strict-transport-security',
  'alt-svc',
  'clear-site-data',
  'x-restsvcsessionid',
])

const VIA = '1.1 veeam-auth-proxy'

function mayGoUp(name: string, live: LiveSession): boolean {
  if (NEVER_UP.has(name) || live.owned.has(name)) return false
  if (name.startsWith('proxy-') || name.startsWith('x-forwarded-')) return false
  // Some servers read `_` as `-`, so a name spelt that way is judged as what it could become.
  if (!name.includes('_')) return true
  const plain = name.replaceAll('_', '-')
  return plain !== 'content-length' && !(plain in live.defaults) && mayGoUp(plain, live)
}

function mayGoDown(name: string): boolean {
  return !NEVER_DOWN.has(name) && !name.startsWith('access-control-')
}

/** The names that a `Connection` field nominates, in lower case. */
function nominated(connection: string | undefined): readonly string[] {
  if (connection === undefined) return []
  return connection
    .toLowerCase()
    .split(',')
    .map(name => name.trim())
}

/**
 * The fields of a request as the appliance gets them.
 * @param caller the fields as Node.js parsed them: names in lower case
 * @param path where the request goes, which decides the cookies
 */
export function fieldsUp(
  caller: IncomingHttpHeaders,
  live: LiveSession,
  path: string,
): Record<string, string | string[]> {
  const dropped = nominated(caller.connection)
  const fields: Record<string, string | string[]> = {}
  for (const name in caller) {
    const value = caller[name]
    if (value === undefined || !mayGoUp(name, live) || dropped.includes(name)) continue
    fields[name] = value
  }
  for (const name in live.defaults) fields[name] ??= live.defaults[name] ?? ''
  for (const name in live.fields) fields[name] = live.fields[name] ?? ''
  live.addCookies(fields, path)
  fields.via = caller.via === undefined ? VIA : `${caller.via}, ${VIA}`
  return fields
}

/**
 * The fields of an answer as the caller gets them, flat and with their spelling kept, for `writeHead`.
 * @param raw name, value, name, value … as they arrived
 * @param link turns the value of a field that holds a link into one that works from where the caller is
 */
export function fieldsDown(raw: readonly string[], link: (value: string) => string): string[] {
  const dropped = valuesOf(raw, 'connection').flatMap(nominated)
  const fields: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const lower = name.toLowerCase()
    if (!mayGoDown(lower) || dropped.includes(lower)) continue
    const value = raw[i + 1] ?? ''
    // Node.js encodes this one anew when it comes after a length (nodejs/node#46528), and then it is not the same bytes.
    if (lower === 'content-disposition') fields.unshift(name, value)
    else fields.push(name, lower === 'location' || lower === 'content-location' ? link(value) : value)
  }
  return fields
}

/** The values of one field among raw ones; `name` in lower case. */
export function valuesOf(raw: readonly string[], name: string): string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name)
}
