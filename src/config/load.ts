import { printed } from '../listen/address.ts'
import { hostOf, listenOf, portOf } from './address.ts'
import { type Configuration, readConfiguration } from './configuration.ts'
import { readSettings } from './env.ts'
import { attempted, Findings } from './findings.ts'
import { DEFAULT_LISTEN, isPrivate, type ListenConfiguration } from './listen.ts'
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
  const settings = readSettings(env)
  const configuration =
    (await configurationFromEnvironment(env, directory)) ??
    (await readConfiguration(flags.config ?? settings.config, env, directory, settings))
  const listen = moved(configuration.listen, host ?? settings.host, port ?? settings.port)
  const allowed = configuration.guard.allowInsecureListen || settings.allowInsecureListen === true
  refuseOpenListen(listen, configuration, allowed, findings)
  findings.settle()
  return {
    ...configuration,
    listen,
    warnings: [...configuration.warnings, ...warningsOf({ ...configuration, listen })],
  }
}

/** A flag or variable turns a socket into an address. */
function moved(listen: ListenConfiguration, host?: string, port?: number): ListenConfiguration {
  if (host === undefined && port === undefined) return listen
  const { address } = listen
  const standard = listenOf(DEFAULT_LISTEN)
  const from = 'host' in address ? address : standard
  return { ...listen, address: { host: host ?? from.host, port: port ?? from.port } }
}

/** Whoever can connect speaks with the rights of the accounts: that must not be the whole network by mistake. */
function refuseOpenListen(listen: ListenConfiguration, { guard }: Configuration, allowed: boolean, findings: Findings) {
  if (allowed || isPrivate(listen) || (guard.callers.length > 0 && listen.tls !== undefined)) return
  const missing = guard.callers.length > 0 ? 'without TLS' : 'where nobody has to prove who calls'
  findings.add(
    ['listen'],
    `${printed(listen.address)} can be reached from other machines, ${missing}`,
    'Listen on 127.0.0.1 or a Unix socket, or set callers and tls; allowInsecureListen: true takes the risk',
  )
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

const places: Readonly<Record<string, string>> = { CONFIG: 'environment', listen: 'configuration' }

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
