import { defaultLimits } from '../listen/limits.ts'
import { applianceOf } from './appliance.ts'
import { check } from './check.ts'
import { type Configuration, openGuard } from './configuration.ts'
import { millisecondsOf } from './duration.ts'
import { readSettings } from './env.ts'
import { Findings, type Path } from './findings.ts'
import { listeningOf } from './listen.ts'
import { applianceSchema, DEFAULT_SHUTDOWN_TIMEOUT } from './schema.ts'
import type { Environment } from './secret-source.ts'
import { stateOf } from './state.ts'

interface Variable {
  name: string
  /** The key of an appliance that it stands for. */
  path: readonly string[]
  /** As it would stand in the file. */
  entry(value: string): unknown
}

const plain = (value: string): unknown => value
const file = (value: string): unknown => ({ file: value })

const variables: readonly Variable[] = [
  { name: 'VEEAM_PRODUCT', path: ['product'], entry: plain },
  { name: 'VEEAM_URL', path: ['url'], entry: plain },
  { name: 'VEEAM_USERNAME', path: ['credentials', 'username'], entry: plain },
  { name: 'VEEAM_PASSWORD', path: ['credentials', 'password'], entry: () => ({ env: 'VEEAM_PASSWORD' }) },
  { name: 'VEEAM_PASSWORD_FILE', path: ['credentials', 'password'], entry: file },
  { name: 'VEEAM_TOTP_FILE', path: ['credentials', 'totp'], entry: file },
  { name: 'VEEAM_API_VERSION', path: ['apiVersion'], entry: plain },
  { name: 'VEEAM_TLS_CA', path: ['tls', 'ca'], entry: plain },
  { name: 'VEEAM_TLS_FINGERPRINT', path: ['tls', 'fingerprint'], entry: plain },
]

/** For README: which variable stands for which key of the appliance. */
export const applianceKeys: readonly Pick<Variable, 'name' | 'path'>[] = variables

/** Groups of which one each is wanted. */
const wanted = [['VEEAM_PRODUCT'], ['VEEAM_URL'], ['VEEAM_USERNAME'], ['VEEAM_PASSWORD', 'VEEAM_PASSWORD_FILE']]
const exclusive = [
  ['VEEAM_PASSWORD', 'VEEAM_PASSWORD_FILE'],
  ['VEEAM_TLS_CA', 'VEEAM_TLS_FINGERPRINT'],
]

/** The variables, of those that are set, by which an appliance is meant; none when the environment describes none. */
export function applianceVariables(env: Environment): readonly string[] {
  return ['VEEAM_PRODUCT', 'VEEAM_URL'].filter(name => env[name])
}

/**
 * The one appliance that VEEAM_* variables describe, to be served at `/`; an empty variable counts as none.
 * @param directory what relative files refer to
 * @returns undefined when neither VEEAM_PRODUCT nor VEEAM_URL is set
 * @throws ConfigurationError
 */
export async function configurationFromEnvironment(
  env: Environment,
  directory: string = process.cwd(),
): Promise<Configuration | undefined> {
  if (applianceVariables(env).length === 0) return undefined
  const given = variables.filter(({ name }) => env[name])
  const findings = new Findings({ place: () => 'environment', name: path => nameOf(path, given) })
  addGaps(env, findings)
  const entry = entryOf(given, env)
  const context = { directory, env }
  const appliance = await applianceOf({ name: 'appliance', entry, path: [], findings, context })
  await check(applianceSchema(), entry, findings)
  findings.settle()
  if (!appliance) throw new TypeError('the appliance was refused without a finding')
  return {
    listen: await listeningOf(undefined, directory),
    limits: defaultLimits,
    appliances: [appliance],
    mount: 'root',
    source: 'environment',
    guard: openGuard,
    shutdownTimeout: millisecondsOf(undefined, DEFAULT_SHUTDOWN_TIMEOUT),
    ...stateOf({}, await readSettings(env), context),
  }
}

function addGaps(env: Environment, findings: Findings): void {
  const pathOf = (name = ''): Path => variables.find(variable => variable.name === name)?.path ?? []
  for (const names of wanted) {
    if (names.some(name => env[name])) continue
    findings.add(pathOf(names[0]), 'this variable is not set', `Set ${names.join(' or ')}`)
  }
  for (const names of exclusive) {
    if (!names.every(name => env[name])) continue
    findings.add(pathOf(names[0]), `${names.join(' and ')} are both set`, 'Unset one of the two')
  }
}

function entryOf(given: readonly Variable[], env: Environment): Record<string, unknown> {
  const credentials: Record<string, unknown> = {}
  const tls: Record<string, unknown> = {}
  const groups: Record<string, Record<string, unknown>> = { credentials, tls }
  const own: Record<string, unknown> = {}
  for (const { name, path, entry } of given) {
    const [first = '', second] = path
    const target = second === undefined ? own : (groups[first] ?? own)
    target[second ?? first] = entry(env[name] ?? '')
  }
  return { ...own, credentials, ...(Object.keys(tls).length > 0 ? { tls } : {}) }
}

/** The variable that stands for a key: one that is set when there is one. */
function nameOf(path: Path, given: readonly Variable[]): string {
  const isFor = (variable: Variable): boolean => path.every((step, index) => variable.path[index] === step)
  const isWithin = (variable: Variable): boolean => variable.path.every((step, index) => path[index] === step)
  const all = [...given, ...variables]
  return (all.find(isFor) ?? all.find(isWithin))?.name ?? path.join('.')
}
