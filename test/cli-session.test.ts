import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigurationError } from '../src/config/mistake.ts'
import { statusOf } from './caller.ts'
import { runCli, startCli } from './cli-rig.ts'
import { freePort } from './listener-rig.ts'
import { eventually, secret, startBox } from './rig.ts'

/** A proxy with a session at its only appliance. */
async function live(t: Parameters<typeof startBox>[0]) {
  const box = await startBox(t, { product: 'azure' })
  const session = box.server.appliances.get('box')?.session
  await session?.ready()
  return { ...box, at: ['--url', box.url], state: () => session?.status().state }
}

test('sign-out ends the session at the appliance, which stays so until sign-in', async t => {
  const { at, state, simulator } = await live(t)
  const out = await runCli(['sign-out', 'box', ...at])
  assert.deepEqual([out.exitCode, out.stderr], [0, ''])
  assert.equal(out.stdout, 'box: the session is signed-out, and stays so until: veeam-auth-proxy sign-in box\n')
  assert.deepEqual([state(), simulator.counts.signOuts, simulator.counts.signIns], ['signed-out', 1, 1])
  assert.equal((await runCli(['sign-in', 'box', ...at])).exitCode, 0)
  assert.deepEqual([state(), simulator.counts.signIns], ['live', 2])
})

test('renew replaces the session at once with the refresh token', async t => {
  const { at, state, simulator } = await live(t)
  const { exitCode, stdout, stderr } = await runCli(['renew', 'box', ...at])
  assert.deepEqual([exitCode, stdout, stderr], [0, 'box: renewed; the session is live.\n', ''])
  assert.deepEqual([state(), simulator.counts.refreshes, simulator.counts.signIns], ['live', 1, 1])
})

for (const verb of ['renew', 'sign-out']) {
  test(`${verb} for an unknown name lists the names there are, with exit code 1`, async t => {
    const { at } = await live(t)
    const { exitCode, stderr } = await runCli([verb, 'bax', ...at])
    assert.equal(exitCode, 1)
    assert.match(stderr, /There is no appliance "bax"; there are: box/)
  })

  test(`${verb} is for callers marked admin`, async t => {
    const callers = [
      { name: 'reader', secret: secret('reader-0123456789'), admin: false },
      { name: 'operator', secret: secret('operator-0123456789'), admin: true },
    ].map(caller => ({ ...caller, rule: {} }))
    const { url, server } = await startBox(t, { product: 'azure' }, {}, { guard: { callers } })
    await server.appliances.get('box')?.session.ready()
    const refused = await runCli([verb, 'box', '--url', url], { env: { PROXY_KEY: 'reader-0123456789' } })
    assert.equal(refused.exitCode, 1)
    assert.match(refused.stderr, /reader is not marked admin\.\nSet admin: true/)
    const taken = await runCli([verb, 'box', '--url', url], { env: { PROXY_KEY: 'operator-0123456789' } })
    assert.equal(taken.exitCode, 0, taken.stderr)
  })
}

test('what a command advises names the appliance that it is about, ready to be pasted', async t => {
  const { url } = await startBox(t, { product: 'azure', password: 'another' })
  await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
  for (const verb of ['renew', 'sign-in']) {
    const { exitCode, stderr } = await runCli([verb, 'box', '--url', url])
    assert.equal(exitCode, 1)
    assert.match(stderr, /veeam-auth-proxy sign-in box\.$/m)
    assert.doesNotMatch(stderr, /NAME/)
  }
})

test('reload says which appliances are in force, and has exit code 2 where the file has a mistake', async t => {
  const { at } = await live(t)
  const { exitCode, stdout } = await runCli(['reload', ...at])
  assert.deepEqual([exitCode, stdout], [0, 'The configuration is in force; appliances: box.\n'])

  const load = async () => {
    throw new ConfigurationError([{ place: 'a.yaml:2:3', path: 'listen', message: 'it is odd', remedy: 'Mend it' }])
  }
  const { url } = await startBox(t, { product: 'azure' }, {}, { load })
  const refused = await runCli(['reload', '--url', url])
  assert.deepEqual([refused.exitCode, refused.stdout], [2, ''])
  assert.match(refused.stderr, /^error: The new configuration was refused\. a\.yaml:2:3: listen: it is odd\. Mend it\./)
})

test('wait --for ready returns once every appliance has a session', async t => {
  const { url, server, simulator } = await startBox(t, { product: 'azure', latency: 400 })
  const { exitCode, stdout, stderr } = await runCli(['wait', '--url', url])
  assert.deepEqual([exitCode, stdout, stderr], [0, 'ready\n', ''])
  assert.equal(server.appliances.get('box')?.session.status().state, 'live')
  assert.equal(simulator.counts.signIns, 1)
})

test('wait --for ready says after its time which appliance has no session, with exit code 1', async t => {
  const { url } = await startBox(t, { product: 'azure', latency: 60_000 })
  const live = await runCli(['wait', '--for', 'live', '--url', url])
  assert.deepEqual([live.exitCode, live.stdout], [0, 'live\n'])
  const { exitCode, stdout, stderr } = await runCli(['wait', '--timeout', '500ms', '--url', url])
  assert.deepEqual([exitCode, stdout], [1, ''])
  assert.equal(stderr, 'error: Not ready within 0.5 s. There is no session at: box. See: veeam-auth-proxy status\n')
})

test('wait begins before the proxy does, and says when none came', async t => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const none = await runCli(['wait', '--for', 'live', '--timeout', '300ms', '--url', url])
  assert.equal(none.exitCode, 1)
  assert.match(none.stderr, /^error: Not live within 0\.3 s\. No proxy answers at .*\n$/)

  const waiting = runCli(['wait', '--for', 'live', '--url', url])
  const demo = startCli(t, ['demo', '--port', String(port)])
  assert.equal((await waiting).exitCode, 0, demo.text())
})

test('wait refuses what it cannot wait for, with exit code 2', async () => {
  const time = await runCli(['wait', '--timeout', 'soon'])
  assert.equal(time.exitCode, 2)
  assert.equal(time.stderr, 'error: --timeout soon is not a time. Write it as 500ms, 30s or 5m.\n')
  const state = await runCli(['wait', '--for', 'peace'])
  assert.equal(state.exitCode, 2)
  assert.match(state.stderr, /argument 'peace' is invalid\. Allowed choices are live, ready\./)
})

for (const argv of [['renew', 'box'], ['sign-out', 'box'], ['reload']]) {
  test(`${argv.join(' ')} says in one line that no proxy answers, with exit code 1`, async () => {
    const { exitCode, stdout, stderr } = await runCli([...argv, '--url', 'http://127.0.0.1:1'])
    assert.deepEqual([exitCode, stdout], [1, ''])
    assert.match(stderr, /^error: No proxy answers at http:\/\/127\.0\.0\.1:1 .*\n$/)
  })
}

test('an address that is no URL is a mistake of the call, with exit code 2', async () => {
  const { exitCode, stderr } = await runCli(['status', '--url', 'nowhere'])
  assert.equal(exitCode, 2)
  assert.match(stderr, /^error: nowhere is not a URL\. Write --url http:\/\/HOST:PORT or unix:\/path\.\n$/)
})

test('what takes more than a second is shown on a terminal, and nowhere else', async t => {
  const { at } = await live(t)
  const { simulator, url } = await startBox(t, { product: 'azure', latency: 1_500 })
  await eventually('it has signed in', () => simulator.counts.signIns === 1)
  const slow = ['renew', 'box', '--url', url]
  const [shown, piped, quiet, quick] = await Promise.all([
    runCli(slow, { screen: 24 }),
    runCli(slow),
    runCli([...slow, '--quiet'], { screen: 24 }),
    runCli(['renew', 'box', ...at], { screen: 24 }),
  ])
  assert.equal(shown.exitCode, 0, shown.stderr)
  const [first, ...rest] = shown.stderr.split('\r\u001b[K').filter(text => text !== '')
  assert.equal(first, 'Renewing the session at box … 1 s')
  assert.ok(shown.stderr.endsWith('\r\u001b[K'), 'it is wiped out at the end')
  assert.ok(rest.every(text => /… \d s$/.test(text)))
  assert.deepEqual([piped.stderr, quiet.stderr, quick.stderr], ['', '', ''])
})
