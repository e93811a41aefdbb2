// Puts the product and what it depends on into a few files: node.js otherwise looks for, opens and links several hundred
// at every start, which took as long as all the rest of it, and a fifth of the memory.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { build } from 'esbuild'

const [outdir = 'dist'] = process.argv.slice(2)

/**
 * Of undici what speaks HTTP/1.1 to an appliance. The rest of it, fetch above all, has Node.js load its own undici too
 * in order to be the same: 28 of 305 ms at the start, and 3 of 77 MB. What @fastify/reply-from knows beside this it wants for
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

/**
 * What others among the packages load at once, and `serve` seldom or never needs, is in files of its own. Here is what
 * stands for it until it is asked for: 24 of 277 ms at the start, and 2.5 of 74 MB.
 */
const late = {
  // For appliances that set cookies. It is a list of all public suffixes.
  tldts: "export const getDomain = (...given) => require('./tldts.cjs').getDomain(...given)",
  // For `websocket: true` of @fastify/http-proxy, which stays unused.
  ws: `module.exports = new Proxy(class {}, {
    get: (_, name) => require('./ws.cjs')[name],
    construct: (_, given) => Reflect.construct(require('./ws.cjs'), given),
  })`,
  // For routes with a schema.
  '@fastify/ajv-compiler': compiler('@fastify/ajv-compiler'),
  '@fastify/fast-json-stringify-compiler': compiler('@fastify/fast-json-stringify-compiler'),
  // For `inject`.
  'light-my-request': "module.exports = require('./light-my-request.cjs')",
}

/** Packages in another shape than they came in. */
const parts = { undici, ...late }

const inParts = {
  name: 'parts of packages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(${Object.keys(parts).join('|')})$`) }, ({ path, importer }) =>
      // Commands that ask the running proxy want `request`, and are in no hurry.
      importer.startsWith(join(import.meta.dirname, 'src/cli/')) ? undefined : { path, namespace: 'part' },
    )
    onResolve({ filter: /^\.\/.*\.cjs$/, namespace: 'part' }, ({ path }) => ({ path, external: true }))
    onLoad({ filter: /./, namespace: 'part' }, ({ path }) => ({
      contents: parts[path],
      resolveDir: import.meta.dirname,
    }))
  },
}

rmSync(outdir, { recursive: true, force: true })
const { resolve } = createRequire(import.meta.url)
const common = {
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  // Names stay as they are, so that a stack trace can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
}
const { metafile } = await build({
  ...common,
  entryPoints: ['src/main.ts'],
  // What a command does not need it does not load.
  splitting: true,
  format: 'esm',
  // Loaded where tracing is on, and installed only where it is wanted.
  external: ['@opentelemetry/*'],
  // Modules of the older kind among the dependencies ask for Node.js' own by `require`.
  banner: { js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);" },
  plugins: [inParts],
})
const later = await build({
  ...common,
  entryPoints: Object.fromEntries(Object.keys(late).map(name => [fileOf(name), resolve(name)])),
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
})
refuseLateRequires(metafile)
// What browsers load of the status page.
cpSync('src/status/page/assets', join(outdir, 'assets'), { recursive: true })
writeFileSync(
  join(outdir, 'licences.txt'),
  licences([metafile, later.metafile].flatMap(({ inputs }) => Object.keys(inputs))),
)

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

/** What makes a compiler for Fastify, of which the compiler itself is only loaded to be used. */
function compiler(name) {
  return `module.exports = (...options) => {
    let build
    return (...given) => (build ??= require('./${fileOf(name)}.cjs')(...options))(...given)
  }`
}

function fileOf(name) {
  return name.replace(/^@fastify\//, '')
}
