import Type, { type Static } from 'typebox'
import { Check, Default } from 'typebox/value'
import type { Environment } from './secret-source.ts'

export const DEFAULT_FILE = 'appliances.yaml'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** The variables of the process itself, each with its description for help texts. */
export const SettingsVariables = Type.Object({
  CONFIG: Type.String({ default: DEFAULT_FILE, description: 'the path of the configuration file' }),
  HOST: Type.Optional(
    Type.String({
      pattern: '^\\[?[A-Za-z0-9:.%-]+\\]?$',
      description: 'the address to listen on, such as 127.0.0.1 or ::1',
    }),
  ),
  PORT: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 65_535, description: 'the port to listen on, from 0 to 65535' }),
  ),
  STATE_DIRECTORY: Type.Optional(
    Type.String({ description: 'the directory in which sessions outlive a restart; systemd sets it' }),
  ),
  STATE_KEY_FILE: Type.Optional(
    Type.String({ description: 'a file with the key of the state directory, where the configuration has no stateKey' }),
  ),
  ALLOW_INSECURE_LISTEN: Type.Optional(
    Type.Literal('true', {
      description: 'true, to listen on other addresses than the loopback without callers and TLS',
    }),
  ),
  TRACING: Type.Optional(Type.Literal('true', { description: 'true, to send traces with OpenTelemetry' })),
  LOG_LEVEL: Type.String({ enum: LEVELS, default: 'info', description: `one of ${LEVELS.join(', ')}` }),
})
type SettingsVariables = Static<typeof SettingsVariables>

export interface Settings {
  config: string
  host?: string
  port?: number
  logLevel: string
  stateDirectory?: string
  stateKeyFile?: string
  allowInsecureListen?: true
  tracing?: true
}

/**
 * Settings of the process; an empty variable counts as none.
 * @throws ConfigurationError naming each variable that does not fit
 */
export async function readSettings(env: Environment): Promise<Settings> {
  const names = Object.keys(SettingsVariables.properties)
  const given = Object.fromEntries(names.flatMap(name => (env[name] ? [[name, env[name]]] : [])))
  const { CONFIG, HOST, PORT, LOG_LEVEL, STATE_DIRECTORY, STATE_KEY_FILE, ALLOW_INSECURE_LISTEN, TRACING } =
    await understood(given)
  return {
    config: CONFIG,
    logLevel: LOG_LEVEL,
    ...(ALLOW_INSECURE_LISTEN === undefined ? {} : { allowInsecureListen: true }),
    ...(TRACING === undefined ? {} : { tracing: true }),
    ...(HOST === undefined ? {} : { host: HOST.replace(/^\[|\]$/g, '') }),
    ...(PORT === undefined ? {} : { port: PORT }),
    // systemd lists several directories with colons between them.
    ...(STATE_DIRECTORY === undefined ? {} : { stateDirectory: STATE_DIRECTORY.split(':')[0] ?? STATE_DIRECTORY }),
    ...(STATE_KEY_FILE === undefined ? {} : { stateKeyFile: STATE_KEY_FILE }),
  }
}

async function understood(given: Record<string, string>): Promise<SettingsVariables> {
  const { PORT = '' } = given
  const plain = Default(SettingsVariables, { ...given, ...(/^\d+$/.test(PORT) ? { PORT: Number(PORT) } : {}) })
  // What is plain needs no env-schema, which takes 40 ms to load: it brings two instances of Ajv along.
  if (Check(SettingsVariables, plain)) return plain
  const { variablesIn } = await import('./variables.ts')
  return variablesIn(SettingsVariables, given)
}
