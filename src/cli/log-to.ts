import type { Writable } from 'node:stream'
import type { Logger } from 'pino'
import pinoPretty from 'pino-pretty'
import { createLog } from '../log.ts'
import type { Redactor } from '../redactor.ts'
import { hasColours } from './colour.ts'
import type { Io } from './command.ts'

/** A log for people on a terminal, and as JSON lines elsewhere. Written at once: the last line before the end counts. */
export function logTo(
  stream: Writable & { isTTY?: boolean },
  level: string,
  redactor: Redactor,
  env: Io['env'],
): Logger {
  if (stream.isTTY !== true) return createLog(level, redactor, { write: line => stream.write(line) })
  const pretty = pinoPretty.prettyFactory({
    colorize: hasColours(stream, env),
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
  })
  return createLog(level, redactor, { write: line => stream.write(pretty(line)) })
}
