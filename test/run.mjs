// Runs all tests. They are compiled beforehand, together: compiling in each of the processes took a third of the time of
// the whole. A single file runs by itself with: npx tsx --test test/NAME.test.ts
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const outdir = join(root, `.built-tests-${process.pid}`)
const files = readdirSync(join(root, 'test')).filter(name => name.endsWith('.test.ts'))

/** Each module finds its neighbours where it was, and not where it is put. */
const whereItWas = {
  name: 'where it was',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\](?:src|test|docs)[/\\].*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
      loader: 'ts',
    }))
  },
}

let exitCode = 1
try {
  await build({
    absWorkingDir: root,
    entryPoints: files.map(name => join('test', name)),
    outdir,
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: true,
    plugins: [whereItWas],
    logLevel: 'warning',
  })
  const built = files.map(name => join(outdir, name.replace(/\.ts$/, '.js')))
  const options = [
    '--enable-source-maps',
    '--test',
    '--test-concurrency=3',
    '--test-timeout=300000',
    ...process.argv.slice(2),
  ]
  const { status } = spawnSync(process.execPath, [...options, ...built], { cwd: root, stdio: 'inherit' })
  exitCode = status ?? 1
} finally {
  rmSync(outdir, { recursive: true, force: true })
}
process.exitCode = exitCode
