import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
let folder: string | undefined
const programs = new Map<string, string>()

/** A program of the tests, as `builtMain` is the product. @param file its path in the repository */
export function builtProgram(file: string): string {
  const built = programs.get(file)
  if (built !== undefined) return built
  const outdir = join(root, `.built-${process.pid}-programs`)
  const outfile = join(outdir, `${programs.size}.mjs`)
  programs.set(file, outfile)
  const parts = { bundle: true, packages: 'external', platform: 'node', format: 'esm' } as const
  buildSync({ entryPoints: [join(root, file)], outfile, ...parts, logLevel: 'warning' })
  process.once('exit', () => rmSync(outdir, { recursive: true, force: true }))
  return outfile
}

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
