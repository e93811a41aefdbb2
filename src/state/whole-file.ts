import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const UNFINISHED = /\.tmp$/
/** A link could point anywhere, and opening a named pipe would wait for its writer. Windows has neither flag. */
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** Replaces the file by one step: after a crash at any moment it is whole, old or new. Mode 0600. */
export async function writeWhole(file: string, bytes: Buffer): Promise<void> {
  const unfinished = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const handle = await open(unfinished, 'wx', 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(unfinished, file)
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {})
    throw error
  }
  await syncDirectory(dirname(file))
}

/** @throws whatever the system says, or that it is no file of at most `largest` bytes */
export async function readWhole(file: string, largest: number): Promise<Buffer> {
  const handle = await open(file, READ)
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new Error('it is not a regular file')
    if (stats.size > largest) throw new Error(`it is larger than ${largest} bytes`)
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

/** A name is in a directory for good once the directory itself is written. Windows cannot be asked for that. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Removes what a process left unfinished when it died. Only for whoever holds the directory. */
export async function sweepUnfinished(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter(name => UNFINISHED.test(name))
  for (const name of names) await rm(join(directory, name), { force: true })
}
