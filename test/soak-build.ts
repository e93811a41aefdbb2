import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Context } from './rig.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The product, built into a folder of its own: started many times, it must not be compiled each time. */
export async function buildProduct(t: Context): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'built-'))
  t.after(() => rm(folder, { recursive: true }))
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const outDir = join(folder, 'dist')
  const build = [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', outDir]
  await promisify(execFile)(process.execPath, build).catch(({ stdout }) => {
    throw new Error(`the product could not be built:\n${stdout}`)
  })
  await cp(join(root, 'package.json'), join(folder, 'package.json'))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  return join(outDir, 'main.js')
}
