import { dirname, resolve } from 'node:path'
import { Check } from 'typebox/value'
import type { Product } from '../dialects/index.ts'
import { printed } from '../listen/address.ts'
import type { Limits } from '../listen/limits.ts'
import type { PathRule } from '../policy/path-rules.ts'
import { REDACTED } from '../redactor.ts'
import { applianceOf, Entry } from './appliance.ts'
import type { CacheConfiguration } from './cache.ts'
import { type CallerConfiguration, callersOf } from './callers.ts'
import { check } from './check.ts'
import { readDocument } from './document.ts'
import { keepableMilliseconds } from './duration.ts'
import { readSettings, type Settings } from './env.ts'
import { attempted, Findings } from './findings.ts'
import { limitsOf } from './limits.ts'
import { type ListenConfiguration, listeningOf } from './listen.ts'
import { DEFAULT_SHUTDOWN_TIMEOUT, jsonSchema } from './schema.ts'
import { readableSecret, Secret, SecretReference } from './secret.ts'
import type { Environment } from './secret-source.ts'
import { stateOf } from './state.ts'

export { ConfigurationError, type Mistake } from './mistake.ts'

export interface Configuration {
  listen: ListenConfiguration
  /** Of every listener. */
  limits: Limits
  appliances: readonly ApplianceConfiguration[]
  /** Where an appliance is served: under `/NAME/` or, when the environment alone describes it, at `/`. */
  mount: 'prefix' | 'root'
  /** Absolute path of the file, or `environment`. */
  source: string
  /** How long requests in flight may take to finish once the process is told to end, in milliseconds. */
  shutdownTimeout: number
  /** Where sessions outlive the process, if they do. */
  state?: { directory: string; key: Secret }
  guard: GuardConfiguration
  /** Absolute path of the audit log, or `stdout`. */
  audit?: string
  /** Every request is followed with OpenTelemetry, as its own variables say. */
  tracing?: boolean
  /** What works, but not as a person may think. */
  warnings: readonly string[]
}

/** Who may speak to the proxy. */
export interface GuardConfiguration {
  /** Host names, beside those of the loopback, that requests may be addressed to; in lower case, without port. */
  allowedHosts: readonly string[]
  /** Origins whose pages may use the proxy. */
  allowedOrigins: readonly string[]
  /** When there are any, whoever calls must be one of them. */
  callers: readonly CallerConfiguration[]
  /** Other addresses than the loopback may be listened on although nobody has to say who they are. */
  allowInsecureListen: boolean
}

export interface ApplianceConfiguration {
  name: string
  product: Product
  /** An origin: scheme, host and port, without a slash at its end. */
  url: string
  /** The product's own keys, defaults filled in. */
  options: Record<string, unknown>
  credentials: CredentialsConfiguration
  tls: TrustConfiguration
  /** All in milliseconds. */
  timeouts: { connect: number; firstByte: number; idle: number }
  /** Requests under way at the same time. */
  maxInFlight: number
  /** Largest body of a request in bytes; undefined: any. */
  maxBody: number | undefined
  /** Links in bodies are turned into ones that lead here. */
  rewriteLinks: boolean
  /** Undefined: no answer is kept, and none shared. */
  cache: CacheConfiguration | undefined
  /** What may be done there, by whomever. */
  access: { rule: PathRule; credentials: boolean }
  /** Where it is served at the root path, beside where the proxy itself listens. */
  listen: readonly ListenConfiguration[]
  /** What becomes of callers' own sign-ins; absent: what is right where they come in. */
  signIn?: SignInMode
  /** Absolute paths of the files that its secrets and certificates come from. */
  files: readonly string[]
  /** Stands for everything that a session depends on: the same identity means the same session. */
  identity: string
}

export type SignInMode = 'emulate' | 'deny' | 'forward'

export type CredentialsConfiguration =
  | { type: 'password'; username: string; password: Secret; totp?: Secret }
  | { type: 'authorization_code'; code: Secret }

export interface TrustConfiguration {
  /** PEM text of one or more certificates. */
  ca?: string
  /** SHA-256 of the leaf certificate: `AB:CD:…`, upper case. */
  fingerprint?: string
  /** False only when the configuration says so. */
  verify: boolean
}

/**
 * Reads the file, and whatever its secrets and certificates refer to; programs are not run yet.
 * @param file as it shall stand in messages
 * @param directory what a relative path of `file` refers to
 * @throws ConfigurationError with every mistake of the file
 */
export async function readConfiguration(
  file: string,
  env: Environment,
  directory: string = process.cwd(),
  given?: Settings,
): Promise<Configuration> {
  const settings = given ?? (await readSettings(env))
  const source = resolve(directory, file)
  const document = await readDocument(file, source)
  const findings = new Findings({ place: document.place, name: path => path.join('.') }, document.mistakes)
  const { value } = document
  const context = { directory: dirname(source), env }
  const entries = Check(Entry, value) && Check(Entry, value.appliances) ? Object.entries(value.appliances) : []
  const appliances = await Promise.all(
    entries.map(([name, entry]) => applianceOf({ name, entry, path: ['appliances', name], findings, context })),
  )
  const listen = await attempted(findings, ['listen'], () =>
    listeningOf(Check(Entry, value) ? value.listen : undefined, context.directory, env),
  )
  const entry = Check(Entry, value) ? value : {}
  const key = Check(SecretReference, entry.stateKey) ? entry.stateKey : undefined
  const stateKey =
    key === undefined ? undefined : await attempted(findings, ['stateKey'], () => readableSecret(key, context))
  const callers = await callersOf({ entries: entry.callers, names: entries.map(([name]) => name), findings, context })
  const limits = limitsOf(entry.limits, findings)
  const shutdownTimeout = keepableMilliseconds(
    { text: entry.shutdownTimeout, fallback: DEFAULT_SHUTDOWN_TIMEOUT, least: '0s' },
    ['shutdownTimeout'],
    findings,
  )
  await check(jsonSchema(), value, findings)
  findings.settle()
  const stateDirectory = typeof entry.stateDirectory === 'string' ? entry.stateDirectory : undefined
  return {
    listen: {
      ...(listen ?? (await listeningOf(undefined, context.directory))),
      at: entry.listen === undefined ? { place: 'the default', path: 'listen' } : findings.whereIs(['listen']),
    },
    limits,
    appliances: appliances.filter(made => made !== undefined),
    mount: 'prefix',
    source,
    guard: { ...openGuard, ...listsOf(entry), callers },
    ...auditOf(entry.audit, context.directory),
    ...(entry.tracing === true ? { tracing: true } : {}),
    shutdownTimeout,
    ...stateOf({ directory: stateDirectory, key: stateKey }, settings, context),
  }
}

/** What holds where the configuration says nothing of it. */
export const openGuard: GuardConfiguration = {
  allowedHosts: [],
  allowedOrigins: [],
  callers: [],
  allowInsecureListen: false,
}

function listsOf(
  entry: Record<string, unknown>,
): Pick<GuardConfiguration, 'allowedHosts' | 'allowedOrigins' | 'allowInsecureListen'> {
  return {
    allowedHosts: textsOf(entry.allowedHosts).map(host => host.toLowerCase()),
    allowedOrigins: textsOf(entry.allowedOrigins).map(asSentByBrowsers),
    allowInsecureListen: entry.allowInsecureListen === true,
  }
}

/** In small letters, and without the port that belongs to the scheme. */
function asSentByBrowsers(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).origin : origin
}

function auditOf(path: unknown, directory: string): { audit?: string } {
  if (typeof path !== 'string') return {}
  return { audit: path === 'stdout' ? path : resolve(directory, path) }
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

/** The configuration as it may be printed: every secret is its source, certificates are counted. */
export function masked(configuration: Configuration): unknown {
  const { listen, appliances, mount, source, state, tracing } = configuration
  return {
    source,
    listen: printed(listen.address),
    ...(listen.tls && { tls: listen.tls === 'auto' ? 'auto' : 'cert and key' }),
    mount,
    ...(tracing && { tracing }),
    ...(state && { stateDirectory: state.directory, stateKey: `${REDACTED} from ${state.key.source}` }),
    appliances: Object.fromEntries(appliances.map(appliance => [appliance.name, maskedAppliance(appliance)])),
  }
}

function maskedAppliance({ product, url, options, credentials, tls, listen }: ApplianceConfiguration): unknown {
  const shown = Object.entries(credentials)
    .filter(([key]) => key !== 'type')
    .map(([key, value]) => [key, value instanceof Secret ? `${REDACTED} from ${value.source}` : value])
  const ca = tls.ca && { ca: `certificates: ${tls.ca.split('BEGIN CERTIFICATE').length - 1}` }
  const own = listen.map(({ address, tls }) => printed(address) + (tls === undefined ? '' : ' with TLS'))
  return {
    product: product.name,
    url,
    ...options,
    credentials: Object.fromEntries(shown),
    tls: { ...tls, ...ca },
    ...(own.length > 0 && { listen: own }),
  }
}

/** Every file that the configuration comes from. */
export function filesOf({ source, appliances, listen, guard }: Configuration): string[] {
  const own = source === 'environment' ? [] : [source]
  const secrets = guard.callers.flatMap(({ secret }) => secret?.file ?? [])
  return [...new Set([...own, ...listen.files, ...secrets, ...appliances.flatMap(({ files }) => files)])]
}
