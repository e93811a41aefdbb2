import { join } from 'node:path'

export interface Surroundings {
  /** Where sessions outlive the process, if the configuration or systemd says so. */
  stateDirectory: string | undefined
  env: Readonly<Record<string, string | undefined>>
  /** Of the account. */
  home: string
  platform: NodeJS.Platform
}

/**
 * Where the local authority is kept: with the sessions or, without a state directory, where the system has programs
 * keep such things. In memory alone it would be of no use: tools would have to trust a new one after every start.
 */
export function authorityDirectory({ stateDirectory, env, home, platform }: Surroundings): string {
  if (stateDirectory !== undefined) return stateDirectory
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'veeam-auth-proxy')
  // XDG Base Directory Specification: a relative path counts for nothing.
  const base = env.XDG_STATE_HOME?.startsWith('/') ? env.XDG_STATE_HOME : join(home, '.local', 'state')
  return join(base, 'veeam-auth-proxy')
}
