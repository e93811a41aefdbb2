import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
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
  const outDir = join(folder, 'dist')
  await promisify(execFile)(process.execPath, ['build.mjs', outDir], { cwd: root }).catch(({ stderr }) => {
    throw new Error(`the product could not be built:\n${stderr}`)
  })
  await cp(join(root, 'package.json'), join(folder, 'package.json'))
  return join(outDir, 'main.js')
}
