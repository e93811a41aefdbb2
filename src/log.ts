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
  const log = pino(options, destination)
  writers.set(log, line => destination.write(line))
  return log
}

const writers = new WeakMap<Logger, (line: string) => void>()

/** What takes whole lines to where a log of `createLog` is written: at any level, and as they are, secrets too. */
export function lineWriter(log: Logger): (line: string) => void {
  return writers.get(log) ?? (() => undefined)
}

/** Writes at another level from now on, and says so whichever of the two is the quieter one. */
export function changeLevel(log: Logger, level: string): void {
  const from = log.level
  if (!log.isLevelEnabled('info')) log.level = 'info'
  log.info({ from, to: level }, 'log level changed')
  log.level = level
}

/** The levels there are, and the one that is written at. */
export function levelsOf(log: Logger) {
  return {
    all: [...Object.keys(log.levels.values), 'silent'],
    get now() {
      return log.level
    },
    change: (level: string) => changeLevel(log, level),
  }
}

/** What turns level debug on, and the next time back to the level that there was before. */
export function debugSwitch(log: Logger): () => void {
  let other = log.level === 'debug' ? 'info' : log.level
  return () => {
    if (log.level === 'debug') return changeLevel(log, other)
    other = log.level
    changeLevel(log, 'debug')
  }
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
