import type { Readable, Writable } from 'node:stream'

/** What a command may touch of the process. Tests hand in their own. */
export interface Io {
  stdin: Readable & { isTTY?: boolean }
  stdout: Writable & { isTTY?: boolean; rows?: number }
  stderr: Writable & { isTTY?: boolean }
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  /** Errors are all that is to be printed. */
  quiet?: boolean
  /** Aborted when a command that runs until it is told to end shall end; without it, signals tell it. */
  stop?: AbortSignal
  /** Calls back at every SIGHUP. */
  onHangup?: (callback: () => void) => void
  /** Calls back at every SIGUSR2. */
  onUserSignal?: (callback: () => void) => void
}

export interface Call {
  args: readonly string[]
  /** By their long name in camel case; absent when not given and without default. */
  options: Readonly<Record<string, string | boolean | undefined>>
  io: Io
}

export interface CommandOption {
  flags: string
  description: string
  fallback?: string
  /** The values it takes, where it does not take any. */
  choices?: readonly string[]
}

/** One command of the command line; `--help` and the table in README follow from it. */
export interface Command {
  name: string
  /** Commander's notation: `<name>` required, `[code]` optional. */
  args?: string
  /** What its argument can be, where that is known. */
  choices?: readonly string[]
  summary: string
  example: string
  options?: readonly CommandOption[]
  /**
   * What standard output is to the command. A `document` is all that it is called for, so that it has no --quiet; of its
   * `log` it takes care by itself; anything else is left out with --quiet.
   */
  output?: 'document' | 'log'
  /** Resolves to the exit code: 0 good, 1 something failed, 2 the configuration or the call is wrong. */
  run(call: Call): Promise<number>
}

/** A mistake in how the command was called or configured: printed without a stack, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A failure that the person at the keyboard can understand: printed without a stack, exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

export function print(stream: Writable, line: string): void {
  stream.write(`${line}\n`)
}

/** The value of an option that takes one. */
export function textOf(option: string | boolean | undefined): string | undefined {
  return typeof option === 'string' ? option : undefined
}
