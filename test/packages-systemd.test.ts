import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { defaultPassword } from '../src/simulator/index.ts'
import { entryOf, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, simulate } from './rig.ts'

const units = fileURLToPath(new URL('../config/systemd', import.meta.url))
const service = readFileSync(join(units, 'veeam-auth-proxy.service'), 'utf8')
const socket = readFileSync(join(units, 'veeam-auth-proxy.socket'), 'utf8')
const PROGRAM = '/usr/local/bin/veeam-auth-proxy'

/** What a unit sets under a key, each time it does. */
function valuesOf(key: string): string[] {
  return [...service.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value)
}

/** Asks systemd-analyze of the units in a folder, where a program that there is stands in the place of ours. */
function analyze(t: TestContext, args: readonly string[], change = (text: string) => text) {
  const folder = temporaryFolder(t)
  folder.write('veeam-auth-proxy.service', change(service.replace(PROGRAM, process.execPath)), 0o644)
  folder.write('veeam-auth-proxy.socket', socket, 0o644)
  const { error, status, stdout, stderr } = spawnSync('systemd-analyze', args, { cwd: folder.path, encoding: 'utf8' })
  if (error === undefined) return { status, printed: stdout + stderr }
  assert.notEqual(process.env.CI, 'true', 'CI is to have systemd-analyze')
  t.skip('systemd-analyze is not installed; to test this: apt-get install systemd')
  return undefined
}

test('the units are what systemd understands, to which a misspelt key would not belong', t => {
  const files = ['./veeam-auth-proxy.service', './veeam-auth-proxy.socket']
  const found = analyze(t, ['verify', ...files])
  if (found === undefined) return
  assert.deepEqual(found, { status: 0, printed: '' })
  const misspelt = analyze(t, ['verify', ...files], text => text.replace('NoNewPrivileges', 'NoNewPrivilege'))
  assert.match(misspelt?.printed ?? '', /Unknown key/)
})

test('the exposure of the service is 2.0 at most', t => {
  const asked = ['security', '--offline=yes', '--no-pager', '--threshold=20', './veeam-auth-proxy.service']
  const found = analyze(t, asked)
  if (found === undefined) return
  assert.equal(found.status, 0, found.printed)
  const softer = analyze(t, asked, text =>
    text.replace(/^(SystemCall.*|CapabilityBoundingSet=|ProtectSystem=.*)$/gm, ''),
  )
  assert.notEqual(softer?.status, 0, 'the threshold is looked at')
})

test('the service serves with what systemd hands it: credentials, state directory, and a configuration as the unit tells', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const { path, write } = temporaryFolder(t)
  for (const name of ['credentials', 'state']) mkdirSync(join(path, name))
  const credentials = join(path, 'credentials')
  const loaded = valuesOf('LoadCredential').map(value => value.split(':')[0] ?? '')
  assert.deepEqual(loaded, ['tenant-password', 'state-key'])
  write('credentials/tenant-password', defaultPassword, 0o440)
  write('credentials/state-key', 'a key of 16 characters or more\n', 0o440)

  const [, reference = ''] = /^# {3}password: (\{.*\})$/m.exec(service) ?? []
  const inFolder = reference.replace('/run/credentials/veeam-auth-proxy.service', credentials)
  assert.notEqual(inFolder, reference)
  const entry = entryOf('tenant', 'azure', simulator).replace(`password: "${defaultPassword}"`, `password: ${inFolder}`)
  const file = write('appliances.yaml', `appliances:\n${entry}`)

  const [command = ''] = valuesOf('ExecStart')
  const [program, ...argv] = command.replace('/etc/veeam-auth-proxy/appliances.yaml', file).split(' ')
  assert.equal(program, PROGRAM)
  const variables = valuesOf('Environment').map(text => text.replace('%d', credentials).split('='))
  const env = {
    ...Object.fromEntries(variables),
    CREDENTIALS_DIRECTORY: credentials,
    STATE_DIRECTORY: join(path, 'state'),
    PORT: '0',
  }
  const served = startCli(t, argv, { cwd: '/', env })
  await eventually('it has signed in', () => served.text().includes('"signed in"'))
  assert.match(served.text(), new RegExp(`"stateDirectory":"${join(path, 'state')}"`))
  served.stop()
  assert.equal(await served.ended, 0)
  assert.equal(simulator.counts.signOuts, 0, 'the session is kept for the next start')
})

test('the service is ready when it says so, is reloaded by SIGHUP, watched, and given time to end', () => {
  for (const [key, value] of Object.entries({
    Type: 'notify',
    NotifyAccess: 'all',
    ExecReload: '/bin/kill -HUP $MAINPID',
    StateDirectory: 'veeam-auth-proxy',
  })) {
    assert.deepEqual(valuesOf(key), [value])
  }
  assert.ok(Number(valuesOf('WatchdogSec')[0]) > 0)
  // shutdownTimeout is 10 s unless the configuration says otherwise, and signing out may take as long.
  assert.ok(Number(valuesOf('TimeoutStopSec')[0]) >= 20)
  // Two units of one name belong together.
  assert.match(socket, /^ListenStream=127\.0\.0\.1:8080$/m)
})
