import { randomBytes } from 'node:crypto'
import { type BigIntStats, linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs'
import { lstat, stat } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { errnoOf } from '../state/state-error.ts'
import { ListenError } from './address.ts'

/** Bytes of a Unix socket's path, the closing zero not counted. libuv would cut a longer one off without a word. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103
/** Everything but reading and writing by the owner. */
const OTHERS = 0o177

/**
 * Sees to it that a socket can be made at the path: removes the one that a dead process left, and nothing else.
 * @throws ListenError
 */
export async function clearPath(path: string): Promise<void> {
  const refused = (errno: string, reason: string) => new ListenError({ path }, errno, reason)
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    throw refused('ENAMETOOLONG', `cannot be listened on: such a path has at most ${LONGEST_PATH} bytes`)
  }
  if ((await statusOf(dirname(path), stat)) === undefined) {
    throw refused('ENOENT', 'cannot be listened on: its directory does not exist')
  }
  const found = await statusOf(path, lstat)
  if (found === undefined) return
  if (!found.isSocket()) throw refused('EEXIST', 'exists and is not a socket; it is left as it is')
  if (await isLive(path)) throw refused('EADDRINUSE', 'is taken: another process answers there')
  try {
    removeStale(path, found)
  } catch (error) {
    throw refused(errnoOf(error), `cannot be replaced (${errnoOf(error)})`)
  }
}

/**
 * Without a pause, and only the very socket that was found dead: of two starters that found it, the other may have put
 * its own there by now. Should that happen between the two calls, it is put back.
 */
function removeStale(path: string, dead: BigIntStats): void {
  if (!isSame(lstatSync(path, { bigint: true, throwIfNoEntry: false }), dead)) return
  const aside = `${path}.${randomBytes(4).toString('hex')}`
  renameSync(path, aside)
  if (!isSame(lstatSync(aside, { bigint: true }), dead)) linkSync(aside, path)
  unlinkSync(aside)
}

/** Inodes are used again at once; the time of the making tells them apart, and a socket's never changes. */
function isSame(found: BigIntStats | undefined, dead: BigIntStats): boolean {
  return found?.ino === dead.ino && found.mtimeNs === dead.mtimeNs
}

/** Whether anybody listens there. What cannot be told counts as somebody. */
function isLive(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', error => resolve(!['ECONNREFUSED', 'ENOENT'].includes(errnoOf(error))))
  })
}

/**
 * Listens so that nobody but the owner can connect, from the first moment on. The mask is the whole process's, and so
 * it is set for no longer than Node.js takes to make the socket, which it does within the call.
 */
export function listenPrivately(server: Server, path: string, onListening: () => void): void {
  const mask = process.umask(OTHERS)
  try {
    server.listen(path, onListening)
  } finally {
    process.umask(mask)
  }
}

/** The file at the path; undefined when there is none. */
export function inodeAt(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino
}

/** Stops listening. libuv then removes the path, whatever is there: what is not ours is held out of its way. */
export function closeSocket(server: Server, { path, inode }: { path: string; inode: number | undefined }): void {
  const found = inodeAt(path)
  if (found === undefined || found === inode) {
    server.close()
    return
  }
  const aside = `${path}.${randomBytes(4).toString('hex')}`
  renameSync(path, aside)
  server.close()
  renameSync(aside, path)
}

async function statusOf(path: string, ask: typeof lstat): Promise<BigIntStats | undefined> {
  try {
    return await ask(path, { bigint: true })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw new ListenError({ path }, errnoOf(error))
  }
}
