import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createCertificate } from '../src/simulator/index.ts'
import { entryOf, runCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { freePort } from './listener-rig.ts'
import { eventually, simulate } from './rig.ts'

/** A proxy in this process that listens as its configuration in this folder says. */
async function serveListening(t: TestContext, listen: string, env: Record<string, string> = {}) {
  const simulator = await simulate(t, { product: 'azure' })
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `listen: ${listen}\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  const served = startCli(t, ['serve'], { cwd: folder.path, env })
  await eventually('it listens', () => served.text().includes('listening on'))
  return folder
}

test('commands reach a proxy with a certificate of its own, and trust that very one', async t => {
  const [own, other] = await Promise.all([createCertificate(), createCertificate()])
  const port = await freePort()
  const pair = (name: string) => `{ address: "127.0.0.1:${port}", tls: { cert: ./${name}.pem, key: ./own.key } }`
  const certificates = temporaryFolder(t)
  for (const [name, text] of Object.entries({ 'own.pem': own.cert, 'own.key': own.key, 'other.pem': other.cert })) {
    certificates.write(name, text)
  }
  const inFolder = pair('own').replaceAll('./', `${certificates.path}/`)
  const folder = await serveListening(t, inFolder)
  const live = await runCli(['status', '--live'], { cwd: folder.path })
  assert.deepEqual([live.exitCode, live.stderr], [0, ''])

  const file = certificates.write('other.yaml', `listen: ${pair('other')}\nappliances: {}\n`)
  const { exitCode, stderr } = await runCli(['status', '--live', '--config', file])
  assert.equal(exitCode, 1)
  assert.match(stderr, /^error: No proxy answers at https:\/\/127\.0\.0\.1:\d+ \(CERTIFICATE_UNTRUSTED\)/)
})

test('commands reach a proxy with tls: auto by its local authority', async t => {
  const port = await freePort()
  const state = temporaryFolder(t).path
  const env = { XDG_STATE_HOME: state }
  const folder = await serveListening(t, `{ address: "127.0.0.1:${port}", tls: auto }`, env)
  const live = await runCli(['status', '--live'], { cwd: folder.path, env })
  assert.deepEqual([live.exitCode, live.stderr], [0, ''])
  const stranger = await runCli(['status', '--live'], { cwd: folder.path, env: { XDG_STATE_HOME: folder.path } })
  assert.equal(stranger.exitCode, 1, 'without the authority its certificate is not trusted')
})

test('the socket of a proxy is looked for beside its configuration, wherever the command is run', async t => {
  const folder = await serveListening(t, 'unix:./proxy.sock')
  const live = await runCli(['status', '--live', '--config', `${folder.path}/appliances.yaml`], { cwd: '/' })
  assert.deepEqual([live.exitCode, live.stderr], [0, ''])
})
