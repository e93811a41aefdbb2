import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commands } from '../src/cli/index.ts'
import { startSimulator } from '../src/simulator/index.ts'
import { entryOf, runCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, startBox } from './rig.ts'

test('every command has --quiet but those whose output is all that they are called for', async () => {
  const loaded = await Promise.all(Object.values(commands).map(load => load()))
  for (const { name, output } of loaded) {
    const { stdout } = await runCli([name, '--help'])
    assert.equal(stdout.includes('-q, --quiet'), output !== 'document', name)
  }
  const documents = loaded.filter(({ output }) => output === 'document').map(({ name }) => name)
  assert.deepEqual(documents, ['schema', 'completion'])
})

test('with --quiet, what went well is not printed, and what went wrong is', async t => {
  const { url, server } = await startBox(t, { product: 'azure' })
  await server.appliances.get('box')?.session.ready()
  for (const argv of [
    ['wait'],
    ['reload'],
    ['renew', 'box'],
    ['status', '--live'],
    ['sign-out', 'box'],
    ['sign-in', 'box'],
  ]) {
    const ran = await runCli([...argv, '-q', '--url', url])
    assert.deepEqual(ran, { exitCode: 0, stdout: '', stderr: '' }, argv.join(' '))
  }
  const failed = await runCli(['renew', 'bax', '--quiet', '--url', url])
  assert.deepEqual([failed.exitCode, failed.stdout], [1, ''])
  assert.match(failed.stderr, /There is no appliance "bax"/)
})

test('check --quiet prints the sentence for each appliance that failed, and no table', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  const bad = entryOf('bad', 'azure', simulator, { password: 'wrong' })
  folder.write('appliances.yaml', `appliances:\n${entryOf('good', 'azure', simulator)}\n${bad}`)
  const { exitCode, stdout, stderr } = await runCli(['check', '--quiet'], { cwd: folder.path })
  assert.deepEqual([exitCode, stdout], [1, ''])
  assert.match(stderr, /^bad: wrong user name or password\. .*\n$/)
})

test('serve --quiet logs errors only', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `appliances:\n${entryOf('box', 'azure', simulator)}`)
  const served = startCli(t, ['serve', '--quiet', '--port', '0'], { cwd: folder.path })
  await eventually('it has signed in', () => simulator.counts.signIns === 1)
  assert.equal(served.text(), '')
  folder.write('appliances.yaml', 'appliances: {}\n')
  await eventually('the mistake is told', () => served.text().includes('the new configuration was refused'))
})

test('the log on a terminal is coloured, and with NO_COLOR it is not', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `appliances:\n${entryOf('box', 'azure', simulator)}`)
  const argv = ['serve', '--port', '0']
  const coloured = startCli(t, argv, { cwd: folder.path, screen: 24 })
  const plain = startCli(t, argv, { cwd: folder.path, screen: 24, env: { NO_COLOR: '1' } })
  for (const { text } of [coloured, plain]) await eventually('it listens', () => text().includes('listening on'))
  assert.ok(coloured.text().includes('\u001b['))
  assert.ok(!plain.text().includes('\u001b['), plain.text())
})
