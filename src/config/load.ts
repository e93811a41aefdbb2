import { hostOf, portOf } from './address.ts'
import { type Configuration, readConfiguration } from './configuration.ts'
import { readSettings } from './env.ts'
import { attempted, Findings } from './findings.ts'
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
    place: ([name]) => (name === 'CONFIG' ? 'environment' : 'command line'),
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
  const { listen } = configuration
  return {
    ...configuration,
    listen: { host: host ?? settings.host ?? listen.host, port: port ?? settings.port ?? listen.port },
  }
}

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
