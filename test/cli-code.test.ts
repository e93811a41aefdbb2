import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { TOTP } from 'otpauth'
import { runCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, secret, startBox } from './rig.ts'

const totp = 'JBSWY3DPEHPK3PXP'

/** A proxy whose only appliance waits for a code. */
async function waiting(t: TestContext) {
  const box = await startBox(t, { product: 'azure', totpSecret: totp })
  const session = box.server.appliances.get('box')?.session
  await eventually('the session waits', () => session?.status().state === 'waiting')
  return { ...box, state: () => session?.status().state, at: ['--url', box.url] }
}

function codeNow(): string {
  return new TOTP({ secret: totp }).generate()
}

test('code completes a sign-in that waits for a person', async t => {
  const { at, state, simulator } = await waiting(t)
  const { exitCode, stdout, stderr } = await runCli(['code', 'box', codeNow(), ...at])
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
  assert.equal(stdout, 'box: the code was accepted; the session is live.\n')
  assert.equal(state(), 'live')
  assert.equal(simulator.counts.mfa, 1)
})

test('a wrong code leaves the session waiting and says so, and the right one still works', async t => {
  const { at, state } = await waiting(t)
  const wrong = await runCli(['code', 'box', '000000', ...at])
  assert.equal(wrong.exitCode, 1)
  assert.match(
    wrong.stderr,
    /^error: The appliance refused the code\. .*\nGive the code that the authenticator shows now/,
  )
  assert.equal(state(), 'waiting')
  assert.equal((await runCli(['code', 'box', codeNow(), ...at])).exitCode, 0)
})

test('code reads one line where the code is piped in', async t => {
  const { at, state } = await waiting(t)
  const { exitCode, stderr } = await runCli(['code', 'box', ...at], { input: `${codeNow()}\nmore` })
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
  assert.equal(state(), 'live')
})

test('code asks on a terminal and does not show what is typed', async t => {
  const { at, state } = await waiting(t)
  const code = codeNow()
  const { exitCode, stdout, stderr } = await runCli(['code', 'box', ...at], { input: `${code}\r`, isTerminal: true })
  assert.equal(exitCode, 0, stderr)
  assert.equal(stderr, 'Code for box: \n')
  assert.doesNotMatch(stdout, new RegExp(code))
  assert.equal(state(), 'live')
})

test('code without any input is refused with exit code 2', async t => {
  const { at } = await waiting(t)
  const { exitCode, stderr } = await runCli(['code', 'box', ...at], { input: '' })
  assert.equal(exitCode, 2)
  assert.match(stderr, /No code was given/)
})

test('code for an appliance that waits for none says what state it is in', async t => {
  const { url, server } = await startBox(t, { product: 'azure' })
  await server.appliances.get('box')?.session.ready()
  const { exitCode, stderr } = await runCli(['code', 'box', '123456', '--url', url])
  assert.equal(exitCode, 1)
  assert.match(stderr, /not waiting for a code\. The session is live/)
})

test('code for an unknown name lists the names there are', async t => {
  const { url } = await startBox(t, { product: 'azure' })
  const { exitCode, stderr } = await runCli(['code', 'bax', '123456', '--url', url])
  assert.equal(exitCode, 1)
  assert.match(stderr, /There is no appliance "bax"; there are: box/)
})

test('sign-in tries again what had stopped after refused credentials', async t => {
  const { url, server, simulator } = await startBox(
    t,
    { product: 'microsoft365' },
    { credentials: { type: 'password', username: 'Administrator', password: secret('the-new-password') } },
  )
  const session = server.appliances.get('box')?.session
  await eventually('the session stops', () => session?.status().state === 'refused')
  simulator.setPassword('the-new-password')
  const { exitCode, stdout } = await runCli(['sign-in', 'box', '--url', url])
  assert.equal(exitCode, 0)
  assert.equal(stdout, 'box: signed in; the session is live.\n')
})

test('status shows every session in a table, and as JSON', async t => {
  const { url, server } = await startBox(t, { product: 'azure' })
  await server.appliances.get('box')?.session.ready()
  const table = await runCli(['status', '--url', url])
  assert.equal(table.exitCode, 0)
  assert.match(
    table.stdout,
    /^appliance +product +state +grant +since +expires +renews\nbox +azure +live +password +20/,
  )
  const json = await runCli(['status', '--json', '--url', url])
  assert.equal(json.exitCode, 0)
  const served = await (await fetch(`${url}/-/status`)).text()
  // Until when is computed at each answer, from two clocks.
  const withoutTimes = (text: string) => text.replaceAll(/"\d{4}-[^"]+"/g, '"time"')
  assert.deepEqual(JSON.parse(withoutTimes(json.stdout)), JSON.parse(withoutTimes(served)))
})

test('status has exit code 1 and the reason while an appliance has no session, and --live has 0', async t => {
  const { at } = await waiting(t)
  const status = await runCli(['status', ...at])
  assert.equal(status.exitCode, 1)
  assert.match(status.stdout, /^box +azure +waiting +-/m)
  assert.match(status.stdout, /^box: CODE_WANTED\. .*\nRun: veeam-auth-proxy code box\./m)
  const live = await runCli(['status', '--live', ...at])
  assert.deepEqual({ exitCode: live.exitCode, stdout: live.stdout }, { exitCode: 0, stdout: 'live\n' })
})

test('commands find the proxy by HOST and PORT, and by listen in the configuration without its secrets', async t => {
  const { url } = await startBox(t, { product: 'azure' })
  const { port } = new URL(url)
  const byEnvironment = await runCli(['status', '--live'], { env: { HOST: '0.0.0.0', PORT: port } })
  assert.equal(byEnvironment.exitCode, 0, byEnvironment.stderr)
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `listen: 127.0.0.1:${port}\nappliances: { a: { password: { env: MISSING } } }\n`)
  const byFile = await runCli(['status', '--live'], { cwd: folder.path })
  assert.equal(byFile.exitCode, 0, byFile.stderr)
})

test('a file that is named to find the proxy must be right', async t => {
  const folder = temporaryFolder(t)
  folder.write('odd.yaml', 'listen: nowhere\n')
  const odd = await runCli(['status', '--config', 'odd.yaml'], { cwd: folder.path })
  assert.equal(odd.exitCode, 2)
  assert.match(odd.stderr, /odd\.yaml: listen is not an address and port/)
  assert.equal((await runCli(['status', '--config', 'none.yaml'], { cwd: folder.path })).exitCode, 2)
})

for (const argv of [['status'], ['status', '--live'], ['sign-in', 'box'], ['code', 'box', '123456']]) {
  test(`${argv.join(' ')} says in one line that no proxy answers, and how to start it`, async () => {
    const { exitCode, stdout, stderr } = await runCli([...argv, '--url', 'http://127.0.0.1:1'])
    assert.deepEqual({ exitCode, stdout }, { exitCode: 1, stdout: '' })
    assert.match(stderr, /^error: No proxy answers at http:\/\/127\.0\.0\.1:1 .*veeam-auth-proxy serve; .*--url.*\n$/)
  })
}

test('what answers and is no veeam-auth-proxy is told apart', async t => {
  const other = createServer((_, response) => response.end('<html>')).listen(0, '127.0.0.1')
  t.after(() => other.close())
  await eventually('it listens', () => other.listening)
  const address = other.address()
  const port = typeof address === 'object' ? address?.port : 0
  const { exitCode, stderr } = await runCli(['status', '--live', '--url', `http://127.0.0.1:${port}`])
  assert.equal(exitCode, 1)
  assert.match(stderr, /is not veeam-auth-proxy/)
})
