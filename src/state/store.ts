import { randomBytes } from 'node:crypto'
import { mkdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Lock } from './lock.ts'
import { Seal } from './seal.ts'
import { readOrSetAside, setAside, type Warn } from './set-aside.ts'
import { errnoOf, StateDirectoryError } from './state-error.ts'
import { sweepUnfinished, syncDirectory, writeWhole } from './whole-file.ts'

export { type Holder, StateDirectoryError, StateDirectoryHeldError } from './state-error.ts'

/** In bytes; nothing that is kept for one appliance comes near it. */
const LARGEST = 1_048_576
const SALT = 32
const SHORTEST_KEY = 16

/** The appliance that a value belongs to. */
export interface Subject {
  name: string
  origin: string
}

export interface StateDirectoryParts {
  directory: string
  /** Any text of at least 16 characters. */
  key: string
  warn: Warn
}

/**
 * One JSON value per appliance that outlives the process, sealed, in a directory that no other process works on. What
 * cannot be read is set aside under another name with a warning: it costs a sign-in and never the start.
 */
export class StateDirectory {
  readonly #directory: string
  readonly #lock: Lock
  readonly #seal: Seal
  readonly #warn: Warn
  /** The last thing to be done with a file; whatever comes next waits for it. */
  readonly #tails = new Map<string, Promise<unknown>>()
  #closed = false

  private constructor(directory: string, { lock, seal, warn }: { lock: Lock; seal: Seal; warn: Warn }) {
    this.#directory = directory
    this.#lock = lock
    this.#seal = seal
    this.#warn = warn
  }

  /**
   * Makes the directory if it is missing, and takes it for this process.
   * @throws StateDirectoryHeldError, StateDirectoryError
   */
  static async open({ directory: path, key, warn }: StateDirectoryParts): Promise<StateDirectory> {
    const directory = resolve(path)
    if (key.length < SHORTEST_KEY) {
      throw new StateDirectoryError(
        `the key of the state directory is shorter than ${SHORTEST_KEY} characters`,
        'Use a longer one, such as: openssl rand -base64 32',
      )
    }
    await prepare(directory)
    const lock = await Lock.take(directory).catch(error => {
      throw unwritable(directory, error)
    })
    try {
      await sweepUnfinished(directory)
      const seal = await Seal.derive(key, await saltOf(directory, warn))
      return new StateDirectory(directory, { lock, seal, warn })
    } catch (error) {
      await lock.release()
      throw unwritable(directory, error)
    }
  }

  /** 32 bytes that are the same in every process with this directory and key, for a purpose of its own. */
  subkey(purpose: string): Buffer {
    return this.#seal.subkey(purpose)
  }

  /** The value that was saved last; undefined when there is none that can be read. Never throws while it is open. */
  load(subject: Subject): Promise<unknown> {
    return this.#next(subject, async file => {
      const sealed = await readOrSetAside(file, LARGEST, this.#warn)
      if (sealed === undefined) return undefined
      const value = parsed(this.#seal.open(sealed, owner(subject)))
      if (value !== undefined) return value
      await setAside(file, 'it is damaged, or was written under another key or for another appliance', this.#warn)
      return undefined
    })
  }

  /**
   * Returns when the value is on disk for good.
   * @throws StateDirectoryError when it cannot be written; the value saved before is still there
   */
  save(subject: Subject, value: unknown): Promise<void> {
    // Now and not when its turn comes: the caller may change the value after this call.
    const text = JSON.stringify(value)
    return this.#next(subject, async file => {
      if (text === undefined) throw new TypeError('a value without JSON cannot be saved')
      const sealed = this.#seal.close(text, owner(subject))
      if (sealed.length > LARGEST) throw new RangeError(`a value of more than ${LARGEST} bytes cannot be saved`)
      await writeWhole(file, sealed).catch(error => {
        throw unwritable(this.#directory, error)
      })
    })
  }

  /** @throws StateDirectoryError */
  remove(subject: Subject): Promise<void> {
    return this.#next(subject, async file => {
      try {
        await rm(file, { force: true })
        await syncDirectory(this.#directory)
      } catch (error) {
        throw unwritable(this.#directory, error)
      }
    })
  }

  /** Finishes what was asked for, and lets another process have the directory. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled(this.#tails.values())
    await this.#lock.release()
  }

  async #next<T>(subject: Subject, task: (file: string) => Promise<T>): Promise<T> {
    if (this.#closed) throw new Error('the state directory is closed')
    const file = join(this.#directory, `${fileName(subject.name)}.sealed`)
    const turn = (this.#tails.get(file) ?? Promise.resolve()).catch(() => {}).then(() => task(file))
    this.#tails.set(file, turn)
    try {
      return await turn
    } finally {
      if (this.#tails.get(file) === turn) this.#tails.delete(file)
    }
  }
}

async function prepare(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unwritable(directory, error)
  }
  const mode = (await stat(directory)).mode & 0o777
  // To read is harmless, and systemd makes it 0755; to write is to put an old session back or to keep us out.
  if (process.platform === 'win32' || (mode & 0o022) === 0) return
  throw new StateDirectoryError(
    `group or others may write to the state directory ${directory} (mode ${mode.toString(8).padStart(4, '0')})`,
    `Run: chmod 700 ${directory}, or name a directory inside of it, which the proxy then makes for itself`,
  )
}

function unwritable(directory: string, error: unknown): StateDirectoryError {
  if (error instanceof StateDirectoryError) return error
  const errno = errnoOf(error)
  if (errno === 'EEXIST' || errno === 'ENOTDIR') {
    const message = `the state directory ${directory} is, or lies in, something that is no directory`
    return new StateDirectoryError(message, 'Name a directory', error)
  }
  return new StateDirectoryError(
    `the state directory ${directory} cannot be written to (${errno})`,
    'Use a directory on a local file system, with free space, that belongs to the account of the proxy',
    error,
  )
}

async function saltOf(directory: string, warn: Warn): Promise<Buffer> {
  const file = join(directory, 'salt')
  const salt = await readOrSetAside(file, LARGEST, warn)
  if (salt?.length === SALT) return salt
  if (salt !== undefined) await setAside(file, 'it is damaged', warn)
  const fresh = randomBytes(SALT)
  await writeWhole(file, fresh)
  return fresh
}

function owner({ name, origin }: Subject): string[] {
  return [name, origin]
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A name of its own for every subject, also where file names know no capitals. */
function fileName(name: string): string {
  const bytes = [...Buffer.from(name)].map(byte => String.fromCharCode(byte))
  return bytes
    .map(char => (/[a-z0-9-]/.test(char) ? char : `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`))
    .join('')
}
