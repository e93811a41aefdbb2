import { stat } from 'node:fs/promises'
import type { Configuration } from './configuration.ts'
import { Secret } from './secret.ts'
import { modesCount, quoted } from './secret-file.ts'
import type { Environment } from './secret-source.ts'

/** What to warn of where secrets stand in a configuration file that others than its owner may read; undefined if not. */
export async function exposedSecrets(configuration: Configuration, env: Environment): Promise<string | undefined> {
  const { source, appliances, guard, state } = configuration
  const secrets = [
    ...appliances.flatMap(({ credentials }) => Object.values(credentials)),
    ...guard.callers.map(({ secret }) => secret),
    state?.key,
  ]
  const isPlain = secrets.some(secret => secret instanceof Secret && secret.isPlain)
  if (!isPlain || source === 'environment' || !modesCount(source, env)) return undefined
  const found = await stat(source).catch(() => undefined)
  if (found === undefined || (found.mode & 0o077) === 0) return undefined
  return `${source} holds secrets and is open to group or others; run: chmod 600 ${quoted(source)}`
}
