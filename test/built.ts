import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
let folder: string | undefined

/**
 * The entry of the product as it is now, built once for each test file: a process started from the sources takes three
 * times as long to start. The folder lies where `dist` would, and goes with the process.
 */
export function builtMain(): string {
  if (folder === undefined) {
    folder = join(root, `.built-${process.pid}`)
    execFileSync(process.execPath, ['build.mjs', folder], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
    process.once('exit', () => rmSync(folder ?? '', { recursive: true, force: true }))
  }
  return join(folder, 'main.js')
}
