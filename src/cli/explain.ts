import { ConfigurationError } from '../config/mistake.ts'
import { Failure, failures, messageOf } from '../errors.ts'
import { StateDirectoryError } from '../state/state-error.ts'
import { type Io, UsageError } from './command.ts'

/** What is printed of an error, and the exit code it brings. The stack is for those who asked for a detailed log. */
export function explain(error: unknown, env: Io['env']): { text: string; exitCode: 1 | 2 } {
  const exitCode = error instanceof UsageError || error instanceof ConfigurationError ? 2 : 1
  const detailed = env.LOG_LEVEL === 'debug' || env.LOG_LEVEL === 'trace'
  return { text: detailed ? `${summaryOf(error)}\n${stacksOf(error).join('\n')}` : summaryOf(error), exitCode }
}

function summaryOf(error: unknown): string {
  if (error instanceof ConfigurationError) return error.message
  if (error instanceof StateDirectoryError) return `error: ${error.message}\n${error.remedy}.`
  if (!(error instanceof Failure)) return `error: ${messageOf(error)}`
  const { title, remedy } = failures[error.code]
  return `error: ${title}. ${error.message}\n${remedy}.`
}

function stacksOf(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  return [error.stack ?? error.message, ...stacksOf(error.cause)]
}
