import { dirname, resolve } from 'node:path'
import { Check } from 'typebox/value'
import type { Product } from '../dialects/index.ts'
import { REDACTED } from '../redactor.ts'
import { listenOf } from './address.ts'
import { applianceOf, attempted, Entry, readableSecret } from './appliance.ts'
import { check } from './check.ts'
import { readDocument } from './document.ts'
import { millisecondsOf } from './duration.ts'
import { readSettings, type Settings } from './env.ts'
import { Findings } from './findings.ts'
import { DEFAULT_LISTEN, DEFAULT_SHUTDOWN_TIMEOUT, jsonSchema } from './schema.ts'
import { Secret, SecretReference } from './secret.ts'
import type { Environment } from './secret-source.ts'
import { stateOf } from './state.ts'

export { ConfigurationError, type Mistake } from './mistake.ts'

export interface Configuration {
  listen: { host: string; port: number }
  appliances: readonly ApplianceConfiguration[]
  /** Where an appliance is served: under `/NAME/` or, when the environment alone describes it, at `/`. */
  mount: 'prefix' | 'root'
  /** Absolute path of the file, or `environment`. */
  source: string
  /** How long requests in flight may take to finish once the process is told to end, in milliseconds. */
  shutdownTimeout: number
  /** Where sessions outlive the process, if they do. */
  state?: { directory: string; key: Secret }
  /** What works, but not as a person may think. */
  warnings: readonly string[]
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
  /** Absolute paths of the files that its secrets and certificates come from. */
  files: readonly string[]
  /** Stands for everything that a session depends on: the same identity means the same session. */
  identity: string
}

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
  settings: Settings = readSettings(env),
): Promise<Configuration> {
  const source = resolve(directory, file)
  const document = await readDocument(file, source)
  const findings = new Findings({ place: document.place, name: path => path.join('.') }, document.mistakes)
  const { value } = document
  const context = { directory: dirname(source), env }
  const entries = Check(Entry, value) && Check(Entry, value.appliances) ? Object.entries(value.appliances) : []
  const appliances = await Promise.all(
    entries.map(([name, entry]) => applianceOf({ name, entry, path: ['appliances', name], findings, context })),
  )
  const given = Check(Entry, value) && typeof value.listen === 'string' ? value.listen : DEFAULT_LISTEN
  const listen = await attempted(findings, ['listen'], () => listenOf(given))
  const entry = Check(Entry, value) ? value : {}
  const key = Check(SecretReference, entry.stateKey) ? entry.stateKey : undefined
  const stateKey = key && (await attempted(findings, ['stateKey'], () => readableSecret(key, context)))
  check(jsonSchema(), value, findings)
  findings.settle()
  const stateDirectory = typeof entry.stateDirectory === 'string' ? entry.stateDirectory : undefined
  return {
    listen: listen ?? listenOf(DEFAULT_LISTEN),
    appliances: appliances.filter(made => made !== undefined),
    mount: 'prefix',
    source,
    shutdownTimeout: millisecondsOf(entry.shutdownTimeout, DEFAULT_SHUTDOWN_TIMEOUT),
    ...stateOf({ directory: stateDirectory, key: stateKey }, settings, context),
  }
}

/** The configuration as it may be printed: every secret is its source, certificates are counted. */
export function masked(configuration: Configuration): unknown {
  const { listen, appliances, mount, source, state } = configuration
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  return {
    source,
    listen: `${host}:${listen.port}`,
    mount,
    ...(state && { stateDirectory: state.directory, stateKey: `${REDACTED} from ${state.key.source}` }),
    appliances: Object.fromEntries(appliances.map(appliance => [appliance.name, maskedAppliance(appliance)])),
  }
}

function maskedAppliance({ product, url, options, credentials, tls }: ApplianceConfiguration): unknown {
  const shown = Object.entries(credentials)
    .filter(([key]) => key !== 'type')
    .map(([key, value]) => [key, value instanceof Secret ? `${REDACTED} from ${value.source}` : value])
  const ca = tls.ca && { ca: `certificates: ${tls.ca.split('BEGIN CERTIFICATE').length - 1}` }
  return { product: product.name, url, ...options, credentials: Object.fromEntries(shown), tls: { ...tls, ...ca } }
}

/** Every file that the configuration comes from. */
export function filesOf({ source, appliances }: Configuration): string[] {
  const own = source === 'environment' ? [] : [source]
  return [...new Set([...own, ...appliances.flatMap(({ files }) => files)])]
}
