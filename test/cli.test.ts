import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { commands } from '../src/cli/index.ts'
import { startSimulator } from '../src/simulator/index.ts'
import { entryOf, runCli, spawnCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually } from './rig.ts'

for (const [name, load] of Object.entries(commands)) {
  test(`the help of ${name} shows one example of it, its options and the exit codes`, async () => {
    const { options = [], example } = await load()
    const { exitCode, stdout, stderr } = await runCli([name, '--help'])
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
    assert.match(stdout, new RegExp(`^Usage: veeam-auth-proxy ${name} `))
    assert.ok(stdout.includes(`Example:\n  $ ${example}\n`), stdout)
    assert.match(example, new RegExp(`^veeam-auth-proxy ${name}\\b`))
    for (const { flags } of options) assert.ok(stdout.includes(flags), `${flags} is missing`)
    assert.match(stdout, /Exit codes: 0 good, 1 something failed, 2 /)
  })
}

test('help lists every command, and what is run without one', async () => {
  const { exitCode, stdout } = await runCli(['--help'])
  assert.equal(exitCode, 0)
  for (const name of Object.keys(commands)) assert.match(stdout, new RegExp(`^  ${name} `, 'm'))
  assert.match(stdout, /Without a command: serve\./)
})

test('README names every command, and the exit codes as help does', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const name of Object.keys(commands))
    assert.ok(new RegExp(`^\\|.*\`${name}\\b.*\\|.*\\|$`, 'm').test(readme), name)
  const { stdout } = await runCli(['--help'])
  const [, codes = ''] = /(Exit codes: .*\.)/.exec(stdout) ?? []
  assert.ok(codes !== '' && readme.includes(codes), codes)
})

test('the version is the one in package.json', async () => {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const { exitCode, stdout } = await runCli(['--version'])
  assert.equal(exitCode, 0)
  assert.ok(manifest.includes(`"version": "${stdout.trim()}"`), stdout)
})

const slips = [
  { argv: ['chek'], meant: 'check' },
  { argv: ['check', '--confg', 'a.yaml'], meant: '--config' },
  { argv: ['--prt', '1'], meant: '--port' },
]
for (const { argv, meant } of slips) {
  test(`"${argv.join(' ')}" is refused in two lines that suggest ${meant}, with exit code 2`, async () => {
    const { exitCode, stdout, stderr } = await runCli(argv)
    assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' })
    assert.match(stderr, new RegExp(`^error: unknown .*\\n\\(Did you mean ${meant}\\?\\)\\n$`))
  })
}

test('a missing argument and a surplus one are refused with exit code 2', async () => {
  const missing = await runCli(['code'])
  assert.equal(missing.exitCode, 2)
  assert.match(missing.stderr, /missing required argument 'name'/)
  const surplus = await runCli(['check', 'tenant'])
  assert.equal(surplus.exitCode, 2)
  assert.match(surplus.stderr, /too many arguments for 'check'/)
})

test('without a command, options belong to serve', async t => {
  const { path } = temporaryFolder(t)
  const { exitCode, stderr } = await runCli(['--config', 'missing.yaml'], { cwd: path })
  assert.equal(exitCode, 2)
  assert.match(stderr, /^missing\.yaml: there is no such file\. Run: veeam-auth-proxy init --config missing\.yaml/)
})

test('an error is printed without a stack, unless the log level is debug or trace', async () => {
  const argv = ['status', '--url', 'http://127.0.0.1:1']
  const plain = await runCli(argv)
  assert.equal(plain.exitCode, 1)
  assert.equal(plain.stderr.split('\n').length, 2, plain.stderr)
  const detailed = await runCli(argv, { env: { LOG_LEVEL: 'debug' } })
  assert.match(detailed.stderr, /\n {4}at .*proxy-request/)
  assert.match(detailed.stderr, /ECONNREFUSED 127\.0\.0\.1:1/)
})

test('the real process ends with the exit code of its command', async t => {
  const good = spawnCli(t, ['--version'])
  assert.equal(await good.ended, 0)
  const wrong = spawnCli(t, ['chek'])
  assert.equal(await wrong.ended, 2)
})

test('what reads the output may stop reading without an error being printed', async t => {
  const process = spawnCli(t, ['schema'])
  process.child.stdout?.destroy()
  assert.equal(await process.ended, 0)
  assert.equal(process.text(), '')
})

test('simulate prints a configuration that check then signs in with', async t => {
  const folder = temporaryFolder(t)
  const totp = 'JBSWY3DPEHPK3PXP'
  const argv = ['simulate', '--product', 'google-cloud', '--port', '0', '--token-life', '30', '--mfa', totp]
  const simulation = startCli(t, [...argv, '--username', 'DOMAIN\\user', '--password', 'a "quoted" one'])
  await eventually('the configuration is printed', () => simulation.text().includes('fingerprint'))
  const [, yaml = ''] = /(appliances:\n.*)/s.exec(simulation.text()) ?? []
  folder.write('appliances.yaml', yaml)
  const { exitCode, stdout } = await runCli(['check'], { cwd: folder.path })
  assert.equal(exitCode, 0, stdout)
  assert.match(stdout, /google-cloud +google-cloud +yes +pinned +yes +30 s +refresh_token/)
})

test('simulate ends with exit code 0 when it is interrupted', async t => {
  const simulation = spawnCli(t, ['simulate', '--product', 'azure', '--port', '0'])
  await simulation.match(/fingerprint/)
  simulation.child.kill('SIGINT')
  assert.equal(await simulation.ended, 0)
})

const wrongSimulations = [
  { argv: ['--product', 'aws'], says: /--product is one of azure, microsoft365, google-cloud/ },
  { argv: ['--product', 'azure', '--port', 'x'], says: /--port x is not a number from 0 to 65535/ },
  { argv: ['--product', 'azure', '--error-rate', '2'], says: /--error-rate 2 is not a number from 0 to 1/ },
  { argv: ['--product', 'azure', '--mfa', '018'], says: /--mfa is a TOTP secret in base32/ },
]
for (const { argv, says } of wrongSimulations) {
  test(`simulate ${argv.join(' ')} is refused with exit code 2`, async () => {
    const { exitCode, stderr } = await runCli(['simulate', ...argv])
    assert.equal(exitCode, 2)
    assert.match(stderr, says)
  })
}

test('simulate and serve say that a port is taken and what chooses another, with exit code 1', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  t.after(() => holder.close())
  await once(holder, 'listening')
  const address = holder.address()
  const port = typeof address === 'object' && address !== null ? String(address.port) : ''
  const simulate = await runCli(['simulate', '--product', 'azure', '--port', port])
  assert.equal(simulate.exitCode, 1)
  assert.match(simulate.stderr, new RegExp(`127\\.0\\.0\\.1:${port} is taken by another process\\. .*--port`))

  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `listen: 127.0.0.1:${port}\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  const serve = await runCli(['serve'], { cwd: folder.path })
  assert.equal(serve.exitCode, 1)
  assert.match(
    serve.stderr,
    new RegExp(`127\\.0\\.0\\.1:${port} is taken by another process\\. .*--port.*PORT.*listen`),
  )
})
