import { resolve } from 'node:path'
import type { Configuration } from './configuration.ts'
import type { Settings } from './env.ts'
import { Secret } from './secret.ts'
import type { SourceContext } from './secret-source.ts'

/** What the file says of the state directory. */
export interface StateEntry {
  directory?: string | undefined
  key?: Secret | undefined
}

/**
 * Where sessions outlive the process: STATE_DIRECTORY, which systemd sets, wins over the file. A directory without a
 * key is not used, and a warning says so: tokens are never written in the clear.
 */
export function stateOf(
  entry: StateEntry,
  { stateDirectory, stateKeyFile }: Settings,
  context: SourceContext,
): Pick<Configuration, 'state' | 'warnings'> {
  const directory = stateDirectory ?? entry.directory
  const key = entry.key ?? (stateKeyFile === undefined ? undefined : Secret.from({ file: stateKeyFile }, context))
  if (directory === undefined) return { warnings: [] }
  if (key === undefined) {
    return { warnings: ['STATE_DIRECTORY is set, but stateKey is not: sessions are not kept over a restart'] }
  }
  return { state: { directory: resolve(context.directory, directory), key }, warnings: [] }
}
