import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { defaultPassword, defaultUsername } from '../src/simulator/index.ts'
import { buildImage, type Image } from './dockerfile.ts'
import { freePort } from './listener-rig.ts'
import { linksIn, papers } from './papers.ts'
import { eventually, simulate } from './rig.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
const isRoot = process.getuid?.() === 0
const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))

/** A folder that other accounts can look into. */
function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'veeam-auth-proxy-package-'))
  chmodSync(folder, 0o755)
  return folder
}

/** A tree that belongs to nobody but root, or that its owner may not write either. */
function makeReadOnly(folder: string): void {
  assert.equal(spawnSync('chmod', ['-R', 'a-w,a+rX', folder]).status, 0)
}

function remove(folder: string): void {
  spawnSync('chmod', ['-R', 'u+w', folder])
  rmSync(folder, { recursive: true, force: true })
}

describe('the image', () => {
  const scratch = openFolder()
  let image: Image
  let ran: string[]
  after(() => remove(scratch))

  before(() => {
    const built = buildImage(repository, scratch)
    image = built.image
    ran = built.ran
    // What a base image brings; the one of the tests may lie where other accounts cannot look.
    mkdirSync(join(scratch, 'node'))
    copyFileSync(process.execPath, join(scratch, 'node', 'node'), constants.COPYFILE_FICLONE)
    makeReadOnly(image.root)
  })

  /** Runs in the image as its user; a path of the image is one below its folder. */
  function start(words: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const [uid = '', gid = ''] = image.user.split(':')
    const inImage = words.map(word => (word.startsWith('/') ? join(image.root, word) : word))
    const asUser = isRoot ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'] : []
    const [file = '', ...args] = [...asUser, ...inImage]
    return spawn(file, args, {
      cwd: join(image.root, image.workdir),
      env: { PATH: `${join(scratch, 'node')}:/usr/bin:/bin`, ...image.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  async function outcome(process: ChildProcess): Promise<{ exitCode: number; text: string }> {
    let text = ''
    for (const stream of [process.stdout, process.stderr])
      stream?.on('data', chunk => {
        text += chunk
      })
    const [exitCode] = await once(process, 'close')
    return { exitCode, text }
  }

  test('is built from the lockfile by its own steps, from what .dockerignore lets through', () => {
    assert.deepEqual(ran, ['npm ci', 'npm run build && npm prune --omit=dev'])
    assert.ok(existsSync(join(image.root, 'app/dist/main.js')))
  })

  test('holds the production dependencies and no other', () => {
    const modules = join(image.root, 'app/node_modules')
    for (const name of Object.keys(manifest.dependencies))
      assert.ok(existsSync(join(modules, name)), `${name} is missing`)
    // A package that a test names may be one that production needs, too.
    const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8'))
    const forTests = Object.keys(manifest.devDependencies).filter(name => packages[`node_modules/${name}`].dev === true)
    assert.ok(forTests.length > 5)
    for (const name of forTests) assert.ok(!existsSync(join(modules, name)), `${name} is there`)
  })

  test('runs as a numeric user that is not root, who can write nothing in it', async () => {
    assert.match(image.user, /^[1-9]\d*:[1-9]\d*$/)
    for (const folder of ['/app', '/app/dist', '/app/config', '/app/node_modules', '/config']) {
      const { exitCode } = await outcome(start(['touch', `${folder}/written`]))
      assert.notEqual(exitCode, 0, folder)
    }
  })

  test('serves as that user, is found healthy by its own check, and ends in order', async t => {
    const simulator = await simulate(t, { product: 'microsoft365' })
    const port = String(await freePort())
    const env = {
      VEEAM_PRODUCT: 'microsoft365',
      VEEAM_URL: simulator.url,
      VEEAM_USERNAME: defaultUsername,
      VEEAM_PASSWORD: defaultPassword,
      VEEAM_TLS_FINGERPRINT: simulator.fingerprint,
      PORT: port,
    }
    const served = start([...image.entrypoint, ...image.command], env)
    t.after(() => served.kill('SIGKILL'))
    const ended = outcome(served)
    const url = `http://127.0.0.1:${port}`
    const statusOf = (path: string) =>
      fetch(`${url}${path}`).then(
        ({ status }) => status,
        () => 0,
      )
    await eventually('it answers', async () => served.exitCode !== null || (await statusOf('/-/livez')) === 200, 30_000)
    assert.equal(served.exitCode, null, (await Promise.race([ended, { text: '' }])).text)
    await eventually('it has signed in', async () => (await statusOf('/-/readyz')) === 200)
    assert.equal(await statusOf('/v8/Jobs'), 200)
    assert.deepEqual(await outcome(start(image.healthcheck, env)), { exitCode: 0, text: 'live\n' })
    served.kill('SIGTERM')
    const { exitCode, text } = await ended
    assert.equal(exitCode, 0, text)
    assert.equal((await outcome(start(image.healthcheck, env))).exitCode, 1, 'unhealthy once it has ended')
  })

  test('runs its demo as that user', async t => {
    const demo = start([...image.entrypoint, 'demo', '--port', '0'])
    t.after(() => demo.kill('SIGKILL'))
    let text = ''
    for (const stream of [demo.stdout, demo.stderr])
      stream?.on('data', chunk => {
        text += chunk
      })
    await eventually(`it listens: ${text}`, () => /Ctrl-C ends the demo/.test(text) || demo.exitCode !== null, 30_000)
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? []
    assert.equal((await fetch(`${url}/-/livez`)).status, 200)
  })
})

describe('the npm package', () => {
  const scratch = openFolder()
  const npm = async (args: readonly string[], cwd: string) =>
    (await promisify(execFile)('npm', ['--no-audit', '--no-fund', '--prefer-offline', ...args], { cwd })).stdout
  const command = join(scratch, 'prefix', 'bin', 'veeam-auth-proxy')
  let files: string[]
  after(() => remove(scratch))

  before(async () => {
    // Not in the repository: packing builds, and nothing that runs beside this may find its files half written.
    const source = join(scratch, 'source')
    mkdirSync(source)
    const parts = ['src', 'config', 'docs', 'package.json', 'tsconfig.json', 'build.mjs']
    const own = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'LICENSE']
    for (const name of [...parts, ...own, 'test']) {
      cpSync(join(repository, name), join(source, name), { recursive: true })
    }
    symlinkSync(join(repository, 'node_modules'), join(source, 'node_modules'))
    const [packed] = JSON.parse((await npm(['pack', '--json'], source)).replace(/^[^[]*/, ''))
    files = packed.files.map(({ path }: { path: string }) => path)
    await npm(['install', '--global', '--prefix', join(scratch, 'prefix'), join(source, packed.filename)], scratch)
  })

  test('holds what runs, what it is configured from, and its papers', () => {
    const others = files.filter(
      file =>
        !/^dist\/(?:[^/]+\.c?js|licences\.txt|assets\/.+)$|^config\/|^docs\/[^/]+\.(?:md|png)$|^(package\.json|[A-Z]+\.md|LICENSE)$/.test(
          file,
        ),
    )
    assert.deepEqual(others, [])
    for (const wanted of [
      'dist/main.js',
      'config/demo.yaml',
      'config/appliances.example.yaml',
      'README.md',
      'LICENSE',
    ]) {
      assert.ok(files.includes(wanted), `${wanted} is missing`)
    }
  })

  test('holds whatever its papers for users lead to', () => {
    const links = papers
      .filter(({ file }) => files.includes(file) && file !== 'CONTRIBUTING.md')
      .flatMap(paper => linksIn(paper).map(target => ({ file: paper.file, target })))
      .filter(({ target }) => !/^https?:|^#/.test(target))
    assert.ok(links.length > 10)
    for (const { file, target } of links) {
      const path = join(dirname(file), target.replace(/#.*$/, '')).replace(/\/$/, '')
      assert.ok(
        files.some(each => each === path || each.startsWith(`${path}/`)),
        `${file} leads to ${target}, which is not in the package`,
      )
    }
  })

  test('installs as a global command that knows its version and writes a configuration', async () => {
    const run = async (args: readonly string[]) => (await promisify(execFile)(command, args, { cwd: scratch })).stdout
    assert.equal(await run(['--version']), `${manifest.version}\n`)
    assert.match(await run(['init']), /^Wrote appliances\.yaml\./)
    assert.equal(
      readFileSync(join(scratch, 'appliances.yaml'), 'utf8'),
      readFileSync(join(repository, 'config/appliances.example.yaml'), 'utf8'),
    )
  })

  test('runs the demo from there', async t => {
    const demo = spawn(command, ['demo', '--port', '0'], {
      cwd: dirname(scratch),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => demo.kill('SIGKILL'))
    let text = ''
    demo.stdout.on('data', chunk => {
      text += chunk
    })
    await eventually('the demo runs', () => /Ctrl-C ends the demo/.test(text) || demo.exitCode !== null, 30_000)
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? []
    assert.equal((await fetch(`${url}/-/livez`)).status, 200)
  })
})
