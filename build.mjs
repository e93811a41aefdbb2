// Puts the product and what it depends on into a few files: node.js otherwise looks for, opens and links several hundred
// at every start, which took as long as all the rest of it, and a fifth of the memory.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const [outdir = 'dist'] = process.argv.slice(2)

/**
 * Of undici what speaks HTTP/1.1 to an appliance. The rest of it, fetch above all, has Node.js load its own undici too
 * in order to be the same: 50 ms of every start together. What @fastify/reply-from knows beside this it wants for
 * options that it is not given.
 */
const undici = ['Agent', 'BalancedPool', 'Client', 'Dispatcher', 'Pool']
  .map(name => `export { default as ${name} } from 'undici/lib/dispatcher/${kebab(name)}.js'\n`)
  .concat(
    `export { default as buildConnector } from 'undici/lib/core/connect.js'\n`,
    `import Dispatcher from 'undici/lib/dispatcher/dispatcher.js'\n`,
    `import api from 'undici/lib/api/index.js'\n`,
    `Object.assign(Dispatcher.prototype, api)\n`,
  )
  .join('')

/** Packages of which a part is enough for `serve`: that part, as a module. */
const parts = { undici }

const inParts = {
  name: 'parts of packages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^undici$/ }, ({ path, importer }) =>
      // Commands that ask the running proxy want `request`, and are in no hurry.
      /\bsrc.cli\b/.test(importer) ? undefined : { path, namespace: 'part' },
    )
    onLoad({ filter: /./, namespace: 'part' }, ({ path }) => ({ contents: parts[path], resolveDir: import.meta.dirname }))
  },
}

rmSync(outdir, { recursive: true, force: true })
const { metafile } = await build({
  entryPoints: ['src/main.ts'],
  outdir,
  bundle: true,
  // What a command does not need it does not load.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // Names stay as they are, so that a stack trace can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  // Loaded where tracing is on, and installed only where it is wanted.
  external: ['@opentelemetry/*'],
  // Modules of the older kind among the dependencies ask for Node.js' own by `require`.
  banner: { js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);" },
  plugins: [inParts],
  metafile: true,
  logLevel: 'warning',
})
refuseLateRequires(metafile)
// What browsers load of the status page.
cpSync('src/status/page/assets', join(outdir, 'assets'), { recursive: true })
writeFileSync(join(outdir, 'licences.txt'), licences(Object.keys(metafile.inputs)))

/** The licence of every package of which a part is in the built files. */
function licences(inputs) {
  const folders = new Set(inputs.map(input => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]).filter(Boolean))
  return [...folders]
    .sort()
    .map(licence)
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function licence(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find(entry => /^licen[cs]e/i.test(entry))
  return `${name} ${version} (${license})\n\n${file === undefined ? '' : readFileSync(join(folder, file), 'utf8')}`
}

/** A module of the older kind that a module of ours imports on demand would have none of its names here. */
function refuseLateRequires({ inputs }) {
  for (const [input, { imports }] of Object.entries(inputs)) {
    const late = imports.filter(({ kind, path }) => kind === 'dynamic-import' && inputs[path]?.format === 'cjs')
    if (!input.includes('node_modules/') && late.length > 0)
      throw new Error(
        `${input} imports ${late[0].path} on demand: let it import a module of its own that does so at once`,
      )
  }
}

function kebab(name) {
  return name.replace(/(?<=[a-z])[A-Z]/g, '-$&').toLowerCase()
}
