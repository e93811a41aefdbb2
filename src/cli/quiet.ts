import { Writable } from 'node:stream'
import type { Command, CommandOption, Io } from './command.ts'

const quietOption: CommandOption = { flags: '-q, --quiet', description: 'print errors only' }

/** The options of a command with those that every command has. */
export function optionsOf({ options = [], output }: Command): readonly CommandOption[] {
  return output === 'document' ? options : [...options, quietOption]
}

/** What a command sees of the process that shall print errors only. */
export function quietly(io: Io, { output }: Command): Io {
  const stdout = output === 'log' ? io.stdout : new Writable({ write: (_chunk, _encoding, done) => done() })
  // Not a copy: reading some members of the real one has effects.
  return Object.create(io, { stdout: { value: stdout }, quiet: { value: true } })
}
