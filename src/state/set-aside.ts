import { rename } from 'node:fs/promises'
import { basename } from 'node:path'
import { messageOf } from '../errors.ts'
import { errnoOf } from './state-error.ts'
import { readWhole } from './whole-file.ts'

export type Warn = (message: string, details: object) => void

/** The file's bytes; undefined when there is no such file, or none that can be read, which is then out of the way. */
export async function readOrSetAside(file: string, largest: number, warn: Warn): Promise<Buffer | undefined> {
  try {
    return await readWhole(file, largest)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') await setAside(file, messageOf(error), warn)
    return undefined
  }
}

/** Keeps the file for a person to look at, under a name that nobody reads. Never throws. */
export async function setAside(file: string, reason: string, warn: Warn): Promise<void> {
  const aside = `${file}.damaged-${new Date().toISOString().replaceAll(':', '-')}`
  try {
    await rename(file, aside)
    warn('a file of the state directory cannot be used and was set aside', { file, setAside: basename(aside), reason })
  } catch (error) {
    warn('a file of the state directory cannot be used, nor set aside', { file, reason, errno: errnoOf(error) })
  }
}
