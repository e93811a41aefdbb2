import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { handedSockets } from '../src/listen/activation.ts'
import { ListenError } from '../src/listen/address.ts'
import { Listener } from '../src/listen/listener.ts'
import { listenPrivately } from '../src/listen/unix-socket.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { ask, echo, fdOf, listen, listenSecurely } from './listener-rig.ts'

const program = fileURLToPath(new URL('listener-child.ts', import.meta.url))
const tsx = fileURLToPath(import.meta.resolve('tsx'))

/** A process that listens; `said` is its first line. */
async function startChild(t: TestContext, path: string) {
  const child = spawn(process.execPath, ['--import', tsx, program, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  const said: Record<string, unknown> = JSON.parse(line)
  return { child, said, ended: once(child, 'exit') }
}

/** The file that a process leaves when it is killed. */
async function leaveStale(t: TestContext, path: string): Promise<void> {
  const { child, said, ended } = await startChild(t, path)
  assert.deepEqual(said, { urls: [`unix:${path}`] })
  child.kill('SIGKILL')
  await ended
  assert.ok(lstatSync(path).isSocket())
}

const at = (path: string) => ask('http://localhost', { socketPath: path })

async function refusal(path: string): Promise<string> {
  try {
    await (await Listener.open({ address: { path } }, echo)).close(0)
  } catch (error) {
    assert.ok(error instanceof ListenError)
    return error.message
  }
  return 'not refused'
}

describe('a Unix socket', { concurrency: 6 }, () => {
  test('is served, is for its owner only, and is gone after the close', async t => {
    const path = join(temporaryFolder(t).path, 'proxy.sock')
    const listener = await listen(t, { address: { path }, tag: 'box' })
    assert.equal(listener.url, `unix:${path}`)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal((await at(path)).json.tag, 'box')
    await listener.close(0)
    assert.equal(existsSync(path), false)
  })

  test('has its mode from the first moment on, and the mask of the process is as before', async t => {
    const path = join(temporaryFolder(t).path, 'proxy.sock')
    const mask = process.umask(0)
    t.after(() => process.umask(mask))
    const server: Server = createServer()
    t.after(() => server.close())
    listenPrivately(server, path, () => {})
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(process.umask(0), 0)
    await once(server, 'listening')
  })

  test('speaks TLS too', async t => {
    const path = join(temporaryFolder(t).path, 'proxy.sock')
    const { listener, ca } = await listenSecurely(t, { address: { path } })
    assert.equal(listener.url, `unix:${path}`)
    assert.equal((await ask('https://localhost', { socketPath: path, ca })).status, 200)
  })

  test('that a killed process left is replaced', async t => {
    const { path: folder } = temporaryFolder(t)
    const path = join(folder, 'proxy.sock')
    await leaveStale(t, path)
    await listen(t, { address: { path } })
    assert.equal((await at(path)).status, 200)
    assert.deepEqual(readdirSync(folder), ['proxy.sock'])
  })

  test('on which a process answers is left alone, and the refusal says so', async t => {
    const path = join(temporaryFolder(t).path, 'proxy.sock')
    await startChild(t, path)
    assert.equal(await refusal(path), `unix:${path} is taken: another process answers there`)
    assert.equal((await at(path)).body, 'path')
  })

  test('is taken by exactly one of several that replace a stale one at the same time', async t => {
    const { path: folder } = temporaryFolder(t)
    const path = join(folder, 'proxy.sock')
    for (let round = 0; round < 5; round += 1) {
      await leaveStale(t, path)
      const opened = await Promise.allSettled(
        Array.from({ length: 6 }, (_, i) => Listener.open({ address: { path } }, echo, { tag: `n${i}` })),
      )
      const listeners = opened.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
      for (const listener of listeners) t.after(() => listener.close(0))
      assert.equal(listeners.length, 1, JSON.stringify(opened))
      assert.equal((await at(path)).status, 200)
      assert.deepEqual(readdirSync(folder), ['proxy.sock'])
      await listeners[0]?.close(0)
    }
  })

  test('never takes the place of a file, a directory or a link', async t => {
    const folder = temporaryFolder(t)
    const file = folder.write('file', 'precious')
    const directory = join(folder.path, 'directory')
    mkdirSync(directory)
    const link = join(folder.path, 'link')
    symlinkSync(file, link)
    for (const path of [file, directory, link]) {
      assert.equal(await refusal(path), `unix:${path} exists and is not a socket; it is left as it is`)
    }
    assert.equal(readFileSync(link, 'utf8'), 'precious')
    assert.ok(statSync(directory).isDirectory())
  })

  test('that cannot be made is refused with the reason', async t => {
    const { path: folder } = temporaryFolder(t)
    assert.match(await refusal(join(folder, 'no', 'a.sock')), /its directory does not exist$/)
    assert.match(await refusal(join(folder, 'a'.repeat(120))), /such a path has at most 10[37] bytes$/)
    assert.deepEqual(readdirSync(folder), [])
  })

  test('of another process that has taken the path in the meantime survives the close', async t => {
    const { path: folder } = temporaryFolder(t)
    const path = join(folder, 'proxy.sock')
    const first = await listen(t, { address: { path }, tag: 'first' })
    rmSync(path)
    await listen(t, { address: { path }, tag: 'second' })
    await first.close(0)
    assert.equal((await at(path)).json.tag, 'second')
    assert.deepEqual(readdirSync(folder), ['proxy.sock'])
  })
})

describe('socket activation', { concurrency: 2 }, () => {
  test('sockets that were handed down are listened on, each under its name, and survive the process', async t => {
    const folder = temporaryFolder(t)
    const path = join(folder.path, 'handed.sock')
    const tcp = createServer().listen(0, '127.0.0.1')
    t.after(() => tcp.close())
    const unix = createServer().listen(path)
    t.after(() => unix.close())
    await Promise.all([once(tcp, 'listening'), once(unix, 'listening')])
    // The shell's process id is that of the program it becomes: what LISTEN_PID has to say.
    const script = 'export LISTEN_PID=$$; exec "$@"'
    const child = spawn('/bin/sh', ['-c', script, 'sh', process.execPath, '--import', tsx, program], {
      env: { PATH: process.env.PATH, LISTEN_FDS: '2', LISTEN_FDNAMES: 'tenant:azure' },
      stdio: ['ignore', 'pipe', 'inherit', fdOf(tcp), fdOf(unix)],
    })
    t.after(() => child.kill('SIGKILL'))
    assert.ok(child.stdout)
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    const address = tcp.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    assert.deepEqual(JSON.parse(line), { urls: [`http://127.0.0.1:${port}`, 'fd:4'] })
    // This process must not accept what is meant for the child, nor remove the path when it lets go.
    const moved = join(folder.path, 'moved.sock')
    renameSync(path, moved)
    tcp.close()
    unix.close()
    assert.equal((await ask(`http://127.0.0.1:${port}`)).body, 'tenant')
    assert.equal((await at(moved)).body, 'azure')
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
    assert.ok(lstatSync(moved).isSocket(), 'whoever handed the socket down goes on with it')
  })

  test('variables that are meant for another process, or say nothing, count for nothing', () => {
    const given = { LISTEN_FDS: '2', LISTEN_PID: '10', LISTEN_FDNAMES: 'a:' }
    assert.deepEqual(handedSockets(given, 10), [
      { fd: 3, name: 'a' },
      { fd: 4, name: undefined },
    ])
    assert.deepEqual(handedSockets(given, 11), [])
    assert.deepEqual(handedSockets({}, 10), [])
    assert.deepEqual(handedSockets({ ...given, LISTEN_FDS: '-1' }, 10), [])
    assert.deepEqual(handedSockets({ ...given, LISTEN_FDS: 'many' }, 10), [])
    assert.deepEqual(handedSockets({ LISTEN_FDS: '1', LISTEN_PID: '10' }, 10), [{ fd: 3, name: undefined }])
  })

  test('a descriptor that is no listening socket is refused', async () => {
    await assert.rejects(Listener.open({ address: { fd: 999 } }, echo), (error: Error) => {
      assert.ok(error instanceof ListenError)
      assert.match(error.message, /^fd:999 cannot be listened on/)
      return true
    })
  })
})
