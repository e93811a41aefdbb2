import type { IncomingHttpHeaders } from 'node:http'
import type { LiveSession } from '../session/live.ts'
import { rewriteTargets } from './links.ts'

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
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'x-original-for',
  'x-original-host',
  'x-original-proto',
  // As IIS and ASP.NET Core tell each other of a certificate or an account that proved itself elsewhere.
  'x-client-cert',
  'x-arr-clientcert',
  'ms-aspnetcore-clientcert',
  'ms-aspnetcore-winauthtoken',
  // They would put another path or method in the place of those that the rules have judged.
  'x-original-url',
  'x-original-uri',
  'x-original-method',
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
  'service-worker-allowed',
  // Orders to report requests, their queries included, to another place.
  'nel',
  'report-to',
  'reporting-endpoints',
  'x-restsvcsessionid',
  // The proxy's own takes its place: by it the caller finds its request in the log.
  'x-request-id',
])

const VIA = '1.1 veeam-auth-proxy'

/** Spellings of field names whose fate is remembered: a caller or an appliance could send ever new ones. */
const MOST_SPELLINGS = 1024

/** What may go up whatever the session, by name: judging it anew for each field of each request cost 2 % of forwarding. */
const goingUp = new Map<string, boolean>()

/** Whether a caller's field of this name, in lower case, stays here whatever the session. */
export function staysHere(name: string): boolean {
  return NEVER_UP.has(name) || name.startsWith('proxy-') || name.startsWith('x-forwarded-')
}

function mayGoUp(name: string, live: LiveSession): boolean {
  let may = goingUp.get(name)
  if (may === undefined) {
    may = !staysHere(name)
    if (goingUp.size < MOST_SPELLINGS) goingUp.set(name, may)
  }
  if (!may || live.owned.has(name)) return false
  // Some servers read `_` as `-`, so a name spelt that way is judged as what it could become.
  if (!name.includes('_')) return true
  const plain = name.replaceAll('_', '-')
  return plain !== 'content-length' && !(plain in live.defaults) && mayGoUp(plain, live)
}

const NONE: readonly string[] = []

/** The names that a `Connection` field nominates, in lower case; the options that every connection has are none. */
export function nominated(connection: string | undefined): readonly string[] {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return NONE
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

/** What is done with a field of an answer beside passing it on. */
type Fate = 'passed' | 'first' | 'link' | 'links' | 'length' | 'dropped' | 'cookie' | 'coding' | 'connection'

const FATES = new Map<string, Fate>([
  ['set-cookie', 'cookie'],
  ['transfer-encoding', 'coding'],
  ['connection', 'connection'],
  // Node.js encodes this one anew when it comes after a length (nodejs/node#46528), and then it is not the same bytes.
  ['content-disposition', 'first'],
  ['content-length', 'length'],
  ['link', 'links'],
  ['location', 'link'],
  ['content-location', 'link'],
])

const fates = new Map<string, Fate>()

/** @param name as it is spelt on the wire */
function fateOf(name: string): Fate {
  let fate = fates.get(name)
  if (fate === undefined) {
    const lower = name.toLowerCase()
    const never = NEVER_DOWN.has(lower) || lower.startsWith('access-control-')
    fate = FATES.get(lower) ?? (never ? 'dropped' : 'passed')
    if (fates.size < MOST_SPELLINGS) fates.set(name, fate)
  }
  return fate
}

/** The fields of an answer, sorted out. */
export interface AnswerFields {
  /** As the caller gets them, flat and with their spelling kept, for `writeHead`. */
  down: string[]
  /** Bytes of the body, where that is said. */
  length: number | undefined
  /** Values of `Set-Cookie`. */
  cookies: readonly string[]
  /** Values of `Transfer-Encoding`. */
  codings: readonly string[]
}

/**
 * @param raw name, value, name, value … as they arrived
 * @param link turns a link in a field into one that works from where the caller is
 */
export function fieldsDown(raw: readonly Buffer[], link: (value: string) => string): AnswerFields {
  const down: string[] = []
  const cookies: string[] = []
  const codings: string[] = []
  let length: number | undefined
  let dropped = NONE
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]?.toString('latin1') ?? ''
    const value = raw[i + 1]?.toString('latin1') ?? ''
    switch (fateOf(name)) {
      case 'length':
        length = Number(value)
        down.push(name, value)
        break
      case 'passed':
        down.push(name, value)
        break
      case 'link':
        down.push(name, link(value))
        break
      case 'links':
        down.push(name, rewriteTargets(value, link))
        break
      case 'first':
        down.unshift(name, value)
        break
      case 'cookie':
        cookies.push(value)
        break
      case 'coding':
        codings.push(value)
        break
      case 'connection':
        dropped = [...dropped, ...nominated(value)]
        break
      case 'dropped':
    }
  }
  return { down: dropped.length === 0 ? down : without(down, dropped), length, cookies, codings }
}

/** @param names in lower case */
export function without(fields: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? ''
    if (!names.includes(name.toLowerCase())) kept.push(name, fields[i + 1] ?? '')
  }
  return kept
}
