import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { createServer, type ListenOptions, type Server } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Listener } from '../src/listen/listener.ts'
import { simulatorRoot } from '../src/simulator/index.ts'
import { builtMain } from './built.ts'
import { get, statusOf } from './caller.ts'
import { entryOf } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { ask, certificateAt, fdOf, freePort } from './listener-rig.ts'
import { applianceAt, eventually, simulate, startProxy } from './rig.ts'

const path = `${simulatorRoot.azure}/status/200`

const anyPort: ListenOptions = { host: '127.0.0.1', port: 0 }

/** A socket that is listened on, as systemd makes one; `letGo` leaves it to whom it was handed. */
async function handedSocket(t: TestContext, options: ListenOptions & { moved?: string } = anyPort) {
  const server: Server = createServer().listen(options)
  t.after(() => server.close())
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    fd: fdOf(server),
    url: `http://127.0.0.1:${port}`,
    letGo() {
      // Node.js would remove the path.
      if (options.path !== undefined && options.moved !== undefined) renameSync(options.path, options.moved)
      server.close()
    },
  }
}

type Handed = Awaited<ReturnType<typeof handedSocket>>

/** `serve` in a process of its own to which sockets are handed as systemd does it. */
async function serveWith(t: TestContext, cwd: string, sockets: readonly [name: string, socket: Handed][]) {
  // The shell's process id is that of the program it becomes: what LISTEN_PID has to say.
  const script = 'export LISTEN_PID=$$; exec "$@"'
  const child = spawn('/bin/sh', ['-c', script, 'sh', process.execPath, builtMain(), 'serve'], {
    cwd,
    env: {
      PATH: process.env.PATH,
      XDG_STATE_HOME: join(cwd, 'home'),
      LISTEN_FDS: String(sockets.length),
      LISTEN_FDNAMES: sockets.map(([name]) => name).join(':'),
    },
    stdio: ['ignore', 'pipe', 'pipe', ...sockets.map(([, { fd }]) => fd)],
  })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  const collect = (chunk: Buffer) => {
    text += chunk.toString()
  }
  child.stdout?.on('data', collect)
  child.stderr?.on('data', collect)
  const ended = once(child, 'exit')
  await eventually('it serves or ends', () => /listening on|"signed in"/.test(text) || child.exitCode !== null, 30_000)
  // This process must not accept what is meant for the child.
  for (const [, { letGo }] of sockets) letGo()
  return { child, ended, text: () => text }
}

describe('serve with sockets that systemd hands down', { concurrency: 2 }, () => {
  test('serves an appliance at the socket of its name, and everything at the others, instead of listening itself', async t => {
    const [azure, other] = [await simulate(t, { product: 'azure' }), await simulate(t, { product: 'azure' })]
    const folder = temporaryFolder(t)
    const [port, ownPort] = [await freePort(), await freePort()]
    const entries = `${entryOf('azure', 'azure', azure)}    listen: ${ownPort}\n${entryOf('other', 'azure', other)}`
    folder.write('appliances.yaml', `listen: 127.0.0.1:${port}\nappliances:\n${entries}`)
    const [own, general] = [await handedSocket(t), await handedSocket(t)]
    const [unix, moved] = [join(folder.path, 'made.sock'), join(folder.path, 'moved.sock')]
    const { child, ended, text } = await serveWith(t, folder.path, [
      ['azure', own],
      ['veeam-auth-proxy.socket', general],
      ['', await handedSocket(t, { path: unix, moved })],
    ])
    await eventually('ready', async () => (await get(general.url, '/-/readyz')).status === 200)
    assert.equal((await get(general.url, `/other${path}`)).status, 200)
    const over = await ask('http://localhost', { socketPath: moved, path: `/azure${path}` })
    assert.equal(over.status, 200, 'over the Unix socket')
    assert.equal((await get(own.url, path)).status, 200)
    const atRoot = await get(own.url, '/-/status')
    assert.equal(atRoot.json.get('source'), undefined, 'which is the appliance’s there')
    assert.deepEqual((await statusOf(general.url, 'azure')).get('servedAt'), [`${general.url}/azure/`, `${own.url}/`])
    for (const unused of [port, ownPort]) await assert.rejects(get(`http://127.0.0.1:${unused}`, '/'), /ECONNREFUSED/)
    assert.match(text(), new RegExp(`azure is served at ${own.url}`))
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
  })

  test('speaks TLS there where the entry does whose place the socket takes, and listens on the rest itself', async t => {
    const azure = await simulate(t, { product: 'azure' })
    const folder = temporaryFolder(t)
    const [port, ownPort] = [await freePort(), await freePort()]
    const entry = `${entryOf('azure', 'azure', azure)}    listen: [vendor, ${ownPort}]\n`
    folder.write('appliances.yaml', `listen: 127.0.0.1:${port}\nappliances:\n${entry}`)
    const own = await handedSocket(t)
    await serveWith(t, folder.path, [['azure', own]])
    const { subjectaltname } = await certificateAt(own.url)
    assert.match(subjectaltname ?? '', /DNS:azure\.localhost/)
    for (const url of [`http://127.0.0.1:${port}/azure`, `http://127.0.0.1:${ownPort}`]) {
      await eventually(
        url,
        async () => (await ask(url, { path: new URL(url).pathname.replace(/\/$/, '') + path })).status === 200,
      )
    }
  })

  test('never lets the socket of an appliance that is gone lead to others, and takes it up again with the appliance', async t => {
    const [azure, other] = [await simulate(t, { product: 'azure' }), await simulate(t, { product: 'azure' })]
    const folder = temporaryFolder(t)
    const entries = [entryOf('azure', 'azure', azure), entryOf('other', 'azure', other)]
    const write = (some: readonly string[]) =>
      folder.write('appliances.yaml', `listen: unix:proxy.sock\nappliances:\n${some.join('')}`)
    write(entries)
    const own = await handedSocket(t)
    await serveWith(t, folder.path, [['azure', own]])
    await eventually('served', async () => (await get(own.url, path)).status === 200)
    write(entries.slice(1))
    await eventually('gone', async () => (await get(own.url, path)).json.get('code') === 'UNKNOWN_APPLIANCE')
    for (const odd of [`/other${path}`, '/-/status']) assert.equal((await get(own.url, odd)).status, 404, odd)
    write(entries)
    await eventually('back', async () => (await get(own.url, path)).status === 200)
  })

  test('refuses a socket that other machines can reach where nobody has to prove who calls', async t => {
    const azure = await simulate(t, { product: 'azure' })
    // A real one would be reached by them: where a socket is, the system says only once it is listened on.
    t.mock.getter(Listener.prototype, 'address', () => ({ host: '192.0.2.1', port: 443 }))
    await assert.rejects(
      startProxy(t, [applianceAt(azure, 'azure')]),
      /must not be listened on: 192\.0\.2\.1:443 can be reached from other machines, where nobody has to prove who/,
    )
    const taken = startProxy(t, [applianceAt(azure, 'azure')], { guard: { allowInsecureListen: true } })
    assert.equal((await taken).url, 'http://192.0.2.1:443')
  })
})
