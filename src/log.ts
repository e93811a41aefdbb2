import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino'
import { Failure } from './errors.ts'
import { REDACTED, type Redactor } from './redactor.ts'

/** Members that would hold a secret if somebody logged a whole request, answer or configuration. */
const SECRET_MEMBERS = [
  'authorization',
  'cookie',
  'password',
  'totp',
  'code',
  'accessToken',
  'refreshToken',
  'mfaToken',
  'access_token',
  'refresh_token',
  'mfa_token',
  'mfa_code',
  'headers',
  'body',
]

/** A log with two nets: no member that can hold a secret is written, and no known secret's value in any other. */
export function createLog(level: string, redactor: Redactor, destination: DestinationStream): Logger {
  const options: LoggerOptions = {
    level,
    base: null,
    redact: { paths: SECRET_MEMBERS.flatMap(name => [name, `*.${name}`, `*.*.${name}`]), censor: REDACTED },
    hooks: { streamWrite: line => redactor.clean(line) },
    serializers: { err: describeError },
  }
  return pino(options, destination)
}

/** What an error is, without the fields of requests that libraries hang onto theirs. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = error instanceof Failure || !('code' in error) ? undefined : String(error.code)
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) }
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { errno: code }),
    stack: error.stack,
    ...cause,
  }
}
