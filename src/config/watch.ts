import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Editors and secret mounts write several times; what follows within this many milliseconds is one change. */
const DEBOUNCE = 300
/** Network file systems tell nobody of a change. */
const POLL = 15_000

/**
 * Calls back when one of the files has changed, including by rename or by a link that now leads elsewhere, as secret
 * mounts change theirs: folders are watched, and what counts is what the path leads to.
 * @returns what ends it
 */
export async function watchFiles(files: readonly string[], onChange: () => void): Promise<() => void> {
  let known = await signatures(files)
  let timer: NodeJS.Timeout | undefined
  let ended = false
  const look = async () => {
    const now = await signatures(files)
    if (ended || now === known) return
    known = now
    onChange()
  }
  const soon = () => {
    clearTimeout(timer)
    timer = setTimeout(look, DEBOUNCE)
  }
  const watchers = [...new Set(files.map(file => dirname(file)))].flatMap(folder => watchFolder(folder, soon))
  const poll = setInterval(look, POLL).unref()
  return () => {
    ended = true
    clearTimeout(timer)
    clearInterval(poll)
    for (const watcher of watchers) watcher.close()
  }
}

/** A folder that cannot be watched is left to the poll. */
function watchFolder(folder: string, onEvent: () => void): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent)
    watcher.on('error', () => watcher.close())
    return [watcher]
  } catch {
    return []
  }
}

async function signatures(files: readonly string[]): Promise<string> {
  const each = files.map(async file => {
    const found = await stat(file).catch(() => undefined)
    return found === undefined ? 'none' : `${found.dev}:${found.ino}:${found.size}:${found.mtimeMs}`
  })
  return (await Promise.all(each)).join()
}
