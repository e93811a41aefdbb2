import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { defaultPassword } from '../src/simulator/index.ts'
import { entryOf, spawnCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, simulate } from './rig.ts'

/** What Node.js cannot do: a datagram socket of the Unix family, as systemd has one. A line for each message. */
const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    print(s.recv(65536).decode().strip().replace('\\n', ' '), flush=True)
`

/** Skips visibly where the test lacks a program; where CI is to have it, that is a failure. */
function lacks(t: TestContext): boolean {
  const missing = ['python3', 'systemd-notify'].filter(name => spawnSync(name, ['--version']).error !== undefined)
  if (missing.length === 0) return false
  assert.notEqual(process.env.CI, 'true', `CI is to have ${missing}`)
  t.skip(`not installed: ${missing.join(', ')}; to test this: apt-get install python3 systemd`)
  return true
}

/** A proxy as systemd starts one, and what it tells it. */
async function serveNotifying(t: TestContext, env: Record<string, string> = {}) {
  const simulator = await simulate(t, { product: 'azure' })
  const folder = temporaryFolder(t)
  const socket = `${folder.path}/notify`
  const listening = spawn('python3', ['-c', receiver, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => listening.kill('SIGKILL'))
  let told = ''
  listening.stdout.on('data', (chunk: Buffer) => {
    told += chunk.toString()
  })
  await eventually('the receiver listens', () => told === 'bound\n')
  const write = (port: number) =>
    folder.write('appliances.yaml', `listen: 127.0.0.1:${port}\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  write(0)
  const served = spawnCli(t, ['serve'], { cwd: folder.path, env: { NOTIFY_SOCKET: socket, ...env } })
  // The program that carries the messages waits for this one before it ends.
  const messages = () => told.split('\n').filter(line => !['', 'bound', 'BARRIER=1'].includes(line))
  return { served, messages, folder, simulator }
}

test('systemd is told when the proxy listens, reloads and ends, in this order', async t => {
  if (lacks(t)) return
  const { served, messages, folder, simulator } = await serveNotifying(t)
  const [, url] = await served.match(/listening on (http:\/\/[\d.:]+)/)
  await eventually('it is ready', () => messages().length === 1)
  assert.equal(messages()[0], `READY=1 STATUS=listening on ${url}`)

  served.child.kill('SIGHUP')
  await eventually('it has reloaded', () => messages().length === 3)
  assert.match(messages()[1] ?? '', /^RELOADING=1 MONOTONIC_USEC=\d+$/)
  const ago = Number(process.hrtime.bigint() / 1000n) - Number(messages()[1]?.split('=').at(-1))
  assert.ok(ago > 0 && ago < 60_000_000, `the monotonic clock of systemd: ${ago} µs ago`)
  assert.equal(messages()[2], 'READY=1 STATUS=configuration reloaded')

  folder.write('appliances.yaml', 'appliances: {}\n')
  await served.match(/the new configuration was refused/)
  served.child.kill('SIGHUP')
  await eventually('it says so', () => messages().length === 5)
  assert.match(messages()[4] ?? '', /^READY=1 STATUS=the new configuration was refused; the old one runs on$/)

  served.child.kill('SIGTERM')
  assert.equal(await served.ended, 0, served.text())
  assert.equal(messages().at(-1), 'STOPPING=1 STATUS=shutting down')
  assert.equal(simulator.counts.signOuts, 1)
})

test('the watchdog is fed at half of its time, as long as the process is not stuck', async t => {
  if (lacks(t)) return
  const { served, messages } = await serveNotifying(t, { WATCHDOG_USEC: '1000000' })
  const fed = () => messages().filter(line => line === 'WATCHDOG=1').length
  await eventually('it is fed', () => fed() > 0)
  const [before, start] = [fed(), performance.now()]
  await eventually('it is fed four times more', () => fed() >= before + 4, 30_000)
  assert.ok(performance.now() - start > 1_000, 'not more often than every half second')
  served.child.kill('SIGSTOP')
  await new Promise(resolve => setTimeout(resolve, 300))
  const stuck = fed()
  await new Promise(resolve => setTimeout(resolve, 1_500))
  assert.equal(fed(), stuck, 'a stopped process does not feed it')
  served.child.kill('SIGCONT')
})

test('a watchdog that is meant for another process is not fed', async t => {
  if (lacks(t)) return
  const { messages } = await serveNotifying(t, { WATCHDOG_USEC: '200000', WATCHDOG_PID: '1' })
  await eventually('it is ready', () => messages().length === 1)
  await new Promise(resolve => setTimeout(resolve, 1_000))
  assert.equal(messages().length, 1)
})

test('without the program that carries the messages, the proxy serves all the same and says so once', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `listen: 127.0.0.1:0\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  const env = { NOTIFY_SOCKET: '/nowhere', PATH: folder.path, WATCHDOG_USEC: '100000' }
  const served = spawnCli(t, ['serve'], { cwd: folder.path, env })
  const [, url = ''] = await served.match(/listening on (http:\/\/[\d.:]+)/)
  await served.match(/systemd-notify failed: systemd does not learn of the state/)
  await new Promise(resolve => setTimeout(resolve, 500))
  assert.equal((await fetch(`${url}/-/livez`)).status, 200)
  assert.equal(served.text().split('systemd-notify failed').length, 2)
})

test('a secret that systemd hands down as a credential may be group-readable, any other file may not', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const folder = temporaryFolder(t)
  // With DynamicUser= systemd gives the file to the service by an access list, and its mode then reads 0440.
  folder.write('box-password', defaultPassword, 0o440)
  const entry = entryOf('box', 'azure', simulator).replace(
    `password: "${defaultPassword}"`,
    `password: { file: ${folder.path}/box-password }`,
  )
  folder.write('appliances.yaml', `listen: 127.0.0.1:0\nappliances:\n${entry}`)
  const refused = spawnCli(t, ['serve'], { cwd: folder.path })
  assert.equal(await refused.ended, 2)
  assert.match(refused.text(), /box-password is open to group or others \(mode 0440\)/)
  const served = spawnCli(t, ['serve'], { cwd: folder.path, env: { CREDENTIALS_DIRECTORY: folder.path } })
  await served.match(/"signed in"/)
})
