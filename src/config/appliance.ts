import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import Type from 'typebox'
import { Check, Default } from 'typebox/value'
import { type Product, products } from '../dialects/index.ts'
import { originOf } from './address.ts'
import { bytesOf } from './bytes.ts'
import { cacheIn } from './cache.ts'
import type { ApplianceConfiguration, CredentialsConfiguration, TrustConfiguration } from './configuration.ts'
import { keepableMilliseconds } from './duration.ts'
import { attempted, type Findings, type Path } from './findings.ts'
import { Obstacle } from './obstacle.ts'
import { ownListeningOf } from './own-listen.ts'
import { ruleOf } from './rule.ts'
import { DEFAULT_MAX_IN_FLIGHT, DEFAULT_TIMEOUTS, Tls } from './schema.ts'
import { readableSecret, Secret, SecretReference } from './secret.ts'
import type { SourceContext } from './secret-source.ts'
import { signInOf } from './sign-in.ts'
import { certificatesOf, fingerprintOf } from './trust.ts'

export const Entry = Type.Record(Type.String(), Type.Unknown())
type Entry = Type.Static<typeof Entry>

interface Parts {
  name: string
  /** As it stands in the configuration, not checked yet. */
  entry: unknown
  path: Path
  findings: Findings
  context: SourceContext
}

/**
 * One appliance made from its entry. What no schema can tell is checked here, part by part, so that a mistake in one
 * does not hide those in others; a part that does not fit the schema is left for the schema to complain about.
 * @returns undefined when something is wrong, which then is in the findings
 */
export async function applianceOf(parts: Parts): Promise<ApplianceConfiguration | undefined> {
  const { name, entry, path, findings, context } = parts
  if (!Check(Entry, entry)) return undefined
  const attempt = <T>(key: Path, make: () => T | Promise<T>) => attempted(findings, [...path, ...key], make)

  const product = products.find(known => known.name === entry.product)
  const given = entry.url
  const url = typeof given === 'string' && given !== '' ? await attempt(['url'], () => originOf(given)) : undefined
  const credentials = await credentialsOf(entry.credentials, context, (key, make) =>
    attempt(['credentials', key], make),
  )
  const tls = await trustOf(entry.tls, context.directory, (key, make) => attempt(['tls', key], make))
  const rule = await ruleOf(entry, path, findings)
  const listen =
    product && (await ownListeningOf({ entry: entry.listen, product, path: [...path, 'listen'], findings, context }))
  const access = { rule, credentials: Array.isArray(entry.allow) && entry.allow.includes('credentials') }
  const signIn = signInOf(entry, access.credentials, path, findings)
  const cache = await cacheIn(entry.cache, [...path, 'cache'], findings)
  const limits = limitsOf(entry, path, findings)
  if (!product || !url || !credentials || !tls || !listen) return undefined
  const options = optionsOf(product, entry)
  const identity = digest([product.name, url, options, entry.credentials])
  const files = [
    ...Object.values(credentials).flatMap(value => (value instanceof Secret && value.file ? [value.file] : [])),
    ...(Check(Tls, entry.tls) && 'ca' in entry.tls ? [resolve(context.directory, entry.tls.ca)] : []),
    ...listen.flatMap(({ files }) => files),
  ]
  return {
    name,
    product,
    url,
    options,
    credentials,
    tls,
    ...limits,
    rewriteLinks: entry.rewriteLinks !== 'off',
    cache,
    access,
    listen,
    ...signIn,
    files,
    identity,
  }
}

/** Of the values as they stand in the configuration: a secret in a file or a variable counts by its place. */
function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url')
}

function limitsOf(
  entry: Entry,
  path: Path,
  findings: Findings,
): Pick<ApplianceConfiguration, 'timeouts' | 'maxInFlight' | 'maxBody'> {
  const { timeouts, maxInFlight, maxBody } = entry
  const given = Check(Entry, timeouts) ? timeouts : {}
  const timeout = (key: keyof typeof DEFAULT_TIMEOUTS) => {
    const time = { text: given[key], fallback: DEFAULT_TIMEOUTS[key], least: '1ms' } as const
    return keepableMilliseconds(time, [...path, 'timeouts', key], findings)
  }
  return {
    timeouts: { connect: timeout('connect'), firstByte: timeout('firstByte'), idle: timeout('idle') },
    maxInFlight: typeof maxInFlight === 'number' ? maxInFlight : DEFAULT_MAX_IN_FLIGHT,
    maxBody: bytesOf(maxBody),
  }
}

type Attempt = <T>(key: string, make: () => T | Promise<T>) => Promise<T | undefined>

async function credentialsOf(
  entry: unknown,
  context: SourceContext,
  attempt: Attempt,
): Promise<CredentialsConfiguration | undefined> {
  if (!Check(Entry, entry)) return undefined
  const secret = async (key: string): Promise<Secret | undefined> => {
    const reference = entry[key]
    if (!Check(SecretReference, reference)) return undefined
    return await attempt(key, () => readableSecret(reference, context))
  }
  const password = await secret('password')
  const totp = await secret('totp')
  const code = await secret('authorizationCode')
  if (typeof entry.totp === 'string') await attempt('totp', () => checkTotp(String(entry.totp)))
  if (code) return { type: 'authorization_code', code }
  const { username } = entry
  if (typeof username !== 'string' || !password) return undefined
  return { type: 'password', username, password, ...(totp ? { totp } : {}) }
}

/** Only for what stands in the configuration; any other secret is read when it is needed. */
function checkTotp(text: string): void {
  if (/^[A-Z2-7\s-]+=*$/i.test(text) || /^otpauth:\/\/totp\/.*[?&]secret=/i.test(text)) return
  throw new Obstacle(
    'this is neither base32 nor an otpauth://totp URI',
    'Copy the secret that the appliance showed when MFA was set up: letters A to Z and digits 2 to 7',
  )
}

async function trustOf(entry: unknown, directory: string, attempt: Attempt): Promise<TrustConfiguration | undefined> {
  if (entry === undefined) return { verify: true }
  if (!Check(Entry, entry)) return undefined
  if (typeof entry.fingerprint === 'string') {
    const fingerprint = await attempt('fingerprint', () => fingerprintOf(String(entry.fingerprint)))
    return fingerprint === undefined ? undefined : { fingerprint, verify: true }
  }
  if (!Check(Tls, entry)) return undefined
  if ('ca' in entry) {
    const ca = await attempt('ca', () => certificatesOf(entry.ca, directory))
    return ca === undefined ? undefined : { ca, verify: true }
  }
  return { verify: false }
}

function optionsOf(product: Product, entry: Entry): Record<string, unknown> {
  const keys = Object.keys(product.options.properties).filter(key => entry[key] !== undefined)
  const filled = Default(product.options, Object.fromEntries(keys.map(key => [key, entry[key]])))
  return Check(Entry, filled) ? filled : {}
}
