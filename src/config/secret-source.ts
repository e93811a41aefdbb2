import { resolve } from 'node:path'
import { Obstacle } from './obstacle.ts'
import { runSecretCommand } from './secret-command.ts'
import { readSecretFile } from './secret-file.ts'
import type { SecretReference } from './secret-reference.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface SourceContext {
  /** Relative files are looked for here, and commands run here. */
  directory: string
  env: Environment
  /** Milliseconds that a command may take, 10,000 unless told. */
  timeLimit?: number
}

export interface Source {
  readonly name: string
  readonly file?: string
  /** True when reading does something that is not done merely to look. */
  readonly costly: boolean
  /** @throws Obstacle */
  read(): Promise<string>
}

export function sourceOf(reference: SecretReference, context: SourceContext): Source {
  if (typeof reference === 'string') {
    return { name: 'the configuration itself', costly: false, read: async () => reference }
  }
  if ('env' in reference) {
    const name = `environment variable ${reference.env}`
    return { name, costly: false, read: async () => fromEnvironment(reference.env, context.env) }
  }
  if ('file' in reference) {
    const file = resolve(context.directory, reference.file)
    return { name: `file ${file}`, file, costly: false, read: () => readSecretFile(file, context.env) }
  }
  const name = `command ${reference.command[0]}`
  return { name, costly: true, read: () => runSecretCommand(reference.command, context) }
}

function fromEnvironment(name: string, env: Environment): string {
  const value = env[name]
  if (value) return value
  const state = value === undefined ? 'not set' : 'empty'
  throw new Obstacle(`environment variable ${name} is ${state}`, `Set ${name} before starting the proxy`)
}
