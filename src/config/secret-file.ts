import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { sep } from 'node:path'
import { codeOf, Obstacle } from './obstacle.ts'
import type { Environment } from './secret-source.ts'

/** Nothing that signs in is longer; a bigger file is the wrong file. */
const LARGEST = 65_536

/** Where a container runtime or systemd sets the modes, and only this container or service can look. */
const RUNTIME_FOLDERS = ['/run/secrets', '/var/run/secrets']

/**
 * The file's text without one line break at its end.
 *
 * The rule for modes: a file that group or others may read, write or run is refused, whoever owns it. Exempt is what
 * lies, by the path given, under /run/secrets, /var/run/secrets or systemd's $CREDENTIALS_DIRECTORY: Docker makes
 * secrets 0444 and Kubernetes 0644 there, and only this container or service sees them. Windows has no such modes.
 * What is checked is the opened file itself, so that it cannot be exchanged between check and reading.
 */
export async function readSecretFile(file: string, env: Environment): Promise<string> {
  const handle = await openedOrRefused(file)
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new Obstacle(`${file} is not a regular file`, 'Name the file that holds the secret')
    const mode = stats.mode & 0o777
    if ((mode & 0o077) !== 0 && modesCount(file, env)) {
      throw new Obstacle(
        `secret file ${file} is open to group or others (mode ${mode.toString(8).padStart(4, '0')})`,
        `Run: chmod 600 ${quoted(file)}`,
      )
    }
    if (stats.size > LARGEST) {
      throw new Obstacle(`secret file ${file} is larger than 64 KiB`, 'Name the file that holds the secret alone')
    }
    const text = (await handle.readFile('utf8')).replace(/^\uFEFF/, '').replace(/\r?\n$/, '')
    if (text === '') throw new Obstacle(`secret file ${file} is empty`, 'Write the secret into it')
    return text
  } finally {
    await handle.close()
  }
}

async function openedOrRefused(file: string): Promise<FileHandle> {
  try {
    // O_NONBLOCK: opening a named pipe without a writer would wait forever.
    return await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') throw new Obstacle(`secret file ${file} does not exist`, 'Create it, or correct the path')
    throw new Obstacle(`secret file ${file} cannot be read (${code})`, 'Make it readable for the account of the proxy')
  }
}

/** Whether the mode of a file at this path says who can read it. */
export function modesCount(file: string, env: Environment): boolean {
  if (process.platform === 'win32') return false
  const exempt = [...RUNTIME_FOLDERS, env.CREDENTIALS_DIRECTORY]
  return !exempt.some(folder => folder && file.startsWith(folder + sep))
}

/** The path as a POSIX shell takes it. */
export function quoted(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
