import { hostOf, listenOf, portOf } from './address.ts'
import { type Configuration, readConfiguration } from './configuration.ts'
import { readSettings, type Settings } from './env.ts'
import { exposedSecrets } from './exposed.ts'
import { attempted, Findings } from './findings.ts'
import { DEFAULT_LISTEN, type ListenConfiguration } from './listen.ts'
import { checkListeners } from './listeners.ts'
import type { Environment } from './secret-source.ts'
import { applianceVariables, configurationFromEnvironment } from './single.ts'

export interface Flags {
  config?: string | undefined
  host?: string | undefined
  port?: string | undefined
}

/**
 * The configuration that counts: flags win over the environment, the environment over the file. An appliance in
 * VEEAM_* variables wins over the default file; together with a file that was named it is a mistake.
 * @param directory what relative paths outside of the file refer to
 * @throws ConfigurationError
 */
export async function loadConfiguration(
  flags: Flags,
  env: Environment,
  directory: string = process.cwd(),
): Promise<Configuration> {
  const findings = new Findings({
    place: ([name]) => places[String(name)] ?? 'command line',
    name: path => path.join('.'),
  })
  const flag = <T>(name: string, given: string | undefined, read: (text: string) => T) =>
    given === undefined ? undefined : attempted(findings, [name], () => read(given))
  const host = await flag('--host', flags.host, hostOf)
  const port = await flag('--port', flags.port, portOf)
  refuseTwoSources(flags, env, findings)
  findings.settle()
  const settings = await readSettings(env)
  const read =
    (await configurationFromEnvironment(env, directory)) ??
    (await readConfiguration(flags.config ?? settings.config, env, directory, settings))
  const listen = moved(read.listen, host ?? settings.host, port ?? settings.port)
  const allowInsecureListen = read.guard.allowInsecureListen || settings.allowInsecureListen === true
  const configuration = { ...read, listen, guard: { ...read.guard, allowInsecureListen } }
  checkListeners(configuration)
  const exposed = await exposedSecrets(configuration, env)
  const found = [...warningsOf(configuration), ...(exposed === undefined ? [] : [exposed])]
  const warnings = [...configuration.warnings, ...found]
  return { ...configuration, warnings, ...tracingOf(configuration, settings, env) }
}

/** OTEL_SDK_DISABLED is OpenTelemetry's own word, and has the last. */
function tracingOf({ tracing }: Configuration, settings: Settings, env: Environment): Pick<Configuration, 'tracing'> {
  const wanted = tracing === true || settings.tracing === true
  return wanted ? { tracing: env.OTEL_SDK_DISABLED?.toLowerCase() !== 'true' } : {}
}

/** A flag or variable turns a socket into an address. */
function moved(listen: ListenConfiguration, host?: string, port?: number): ListenConfiguration {
  if (host === undefined && port === undefined) return listen
  const { at, address, ...rest } = listen
  const standard = listenOf(DEFAULT_LISTEN)
  const from = 'host' in address ? address : standard
  return { ...rest, address: { host: host ?? from.host, port: port ?? from.port } }
}

function warningsOf({ appliances, guard, listen }: Configuration): string[] {
  const blind = appliances.filter(({ tls }) => !tls.verify && tls.fingerprint === undefined)
  const mute = listen.tls === undefined ? guard.callers.filter(({ secret }) => secret === undefined) : []
  return [
    ...blind.map(({ name }) => `${name}: tls.verify is false, so whoever stands between can take the password`),
    ...mute.map(({ name }) => `caller ${name} has a certificate alone, which it cannot show: listen has no tls`),
    ...(guard.allowInsecureListen ? ['allowInsecureListen is true: other machines may reach the proxy'] : []),
  ]
}

const places: Readonly<Record<string, string>> = { CONFIG: 'environment' }

function refuseTwoSources(flags: Flags, env: Environment, findings: Findings): void {
  const named = flags.config === undefined ? env.CONFIG && 'CONFIG' : '--config'
  const variables = applianceVariables(env).join(' and ')
  if (!named || variables === '') return
  findings.add(
    [named],
    `${named} names a configuration file, and ${variables} in the environment an appliance without one`,
    `Leave ${named} out, or unset ${variables}`,
  )
}
