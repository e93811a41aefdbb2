import { createHash, randomBytes } from 'node:crypto'
import { chmod, readdir, realpath, rename, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, ask } from './lock-question.ts'
import { errnoOf, type Holder, StateDirectoryError, StateDirectoryHeldError } from './state-error.ts'

const ANNOUNCED = /^lock-[0-9a-f]{12}$/
/** Bytes of a Unix socket's path, the closing zero not counted. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103
/** How long starters at the same moment sort out who goes first, in milliseconds. */
const LONGEST_TIE = 5_000

/**
 * One process per directory, by a listening Unix socket: the kernel lets go of it the moment its process dies, however
 * that happens, and a dead one refuses connections. Process ids would not do: in a container everybody is process 1.
 *
 * Each starter has a socket of its own name, which no other ever uses, and it appears under that name only once it
 * listens. So one that refuses is dead for good, and removing it can never hit a living one. A starter first announces
 * itself and then looks for others: of two, at least one sees the other, so never do both hold. Of starters that see
 * each other the lowest name goes on and the others give up.
 *
 * It works between containers that share a volume of one machine, and not between machines.
 */
export class Lock {
  readonly #server: Server
  readonly #path: string
  #answer: Answer

  private constructor(server: Server, path: string, answer: Answer) {
    this.#server = server
    this.#path = path
    this.#answer = answer
    server.on('connection', socket => {
      socket.on('error', () => socket.destroy())
      socket.setTimeout(1_000, () => socket.destroy())
      socket.unref()
      socket.end(`${JSON.stringify(this.#answer)}\n`)
    })
    // Of a connection that could not be accepted; whoever asked sees that somebody is here all the same.
    server.on('error', () => {})
    server.unref()
  }

  /** @throws StateDirectoryHeldError, and what the system says when no socket can be made in the directory */
  static async take(directory: string): Promise<Lock> {
    if (process.platform === 'win32') return Lock.#takePipe(directory)
    const name = `lock-${randomBytes(6).toString('hex')}`
    const lock = await Lock.#announce(directory, name)
    if (lock === undefined) return Lock.take(directory)
    try {
      await lock.#outlast(directory, name)
      return lock
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  async release(): Promise<void> {
    if (process.platform !== 'win32') await rm(this.#path, { force: true })
    this.#server.close()
  }

  /** Undefined when a holder swept the socket away before it had its name. */
  static async #announce(directory: string, name: string): Promise<Lock | undefined> {
    const path = join(directory, name)
    const unnamed = `${path}.tmp`
    if (Buffer.byteLength(unnamed) > LONGEST_PATH) {
      const most = LONGEST_PATH - (Buffer.byteLength(unnamed) - Buffer.byteLength(directory))
      throw new StateDirectoryError(
        `the path of the state directory ${directory} is longer than ${most} bytes`,
        'Give it a shorter path: a Unix socket in it must be reachable',
      )
    }
    const server = createServer()
    await listening(server, unnamed)
    const lock = new Lock(server, path, { state: 'starting', ...me() })
    try {
      await chmod(unnamed, 0o600)
      await rename(unnamed, path)
      return lock
    } catch (error) {
      server.close()
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** Returns once nobody else is there. */
  async #outlast(directory: string, name: string): Promise<void> {
    const end = performance.now() + LONGEST_TIE
    for (;;) {
      const other = await firstOther(directory, name)
      if (other === undefined) break
      const goesFirst = other.answer?.state === 'starting' && name < other.name && performance.now() < end
      if (!goesFirst) throw new StateDirectoryHeldError(directory, other.answer)
      await sleep(20)
    }
    this.#answer = { state: 'holding', ...me() }
  }

  /** Windows knows a pipe's name once for the whole machine, and the kernel refuses the second who makes it. */
  static async #takePipe(directory: string): Promise<Lock> {
    const id = createHash('sha256')
      .update((await realpath(directory)).toLowerCase())
      .digest('hex')
    const path = `\\\\.\\pipe\\veeam-auth-proxy-${id}`
    const server = createServer()
    try {
      await listening(server, path)
    } catch {
      const other = await ask(path)
      throw new StateDirectoryHeldError(directory, other?.answer)
    }
    return new Lock(server, path, { state: 'holding', ...me() })
  }
}

/** The first living one of the others, lowest name first; the dead are removed on the way. */
async function firstOther(directory: string, own: string) {
  const names = (await readdir(directory)).filter(name => ANNOUNCED.test(name) && name !== own).sort()
  for (const name of names) {
    const path = join(directory, name)
    const found = await ask(path)
    if (found !== undefined) return { name, answer: found.answer }
    await rm(path, { force: true })
  }
  return undefined
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function me(): Holder {
  return { pid: process.pid, host: hostname(), since: new Date().toISOString() }
}
