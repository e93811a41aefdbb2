import { Ajv } from 'ajv'
import envSchema from 'env-schema'
import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import { once } from './check.ts'
import { ConfigurationError, type Mistake } from './mistake.ts'
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
export function readSettings(env: Environment): Settings {
  const names = Object.keys(SettingsVariables.properties)
  const given = Object.fromEntries(names.filter(name => env[name]).map(name => [name, env[name]]))
  const { CONFIG, HOST, PORT, LOG_LEVEL, STATE_DIRECTORY, STATE_KEY_FILE, ALLOW_INSECURE_LISTEN, TRACING } =
    understood(given)
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

/** As env-schema makes its own, but for a schema that is used once. */
function settingsAjv(): Ajv {
  return new Ajv({ ...once, allErrors: true, removeAdditional: true, useDefaults: true, coerceTypes: true })
}

const SchemaErrors = Type.Object({ errors: Type.Array(Type.Object({ instancePath: Type.String() })) })

function understood(data: Record<string, unknown>): SettingsVariables {
  try {
    // The schema is copied because env-schema writes to it.
    return envSchema<SettingsVariables>({ schema: { ...SettingsVariables }, data, env: false, ajv: settingsAjv() })
  } catch (error) {
    if (!Check(SchemaErrors, error)) throw error
    const names = new Set(error.errors.map(({ instancePath }) => instancePath.slice(1)))
    throw new ConfigurationError([...names].map(mistakeIn))
  }
}

function mistakeIn(name: string): Mistake {
  const schema = Object.entries<object>(SettingsVariables.properties).find(([key]) => key === name)?.[1]
  const wanted = schema && 'description' in schema ? schema.description : 'something else'
  const message = 'the value of this variable does not fit'
  return { place: 'environment', path: name, message, remedy: `Set it to ${wanted}, or unset it` }
}
