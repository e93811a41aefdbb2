import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { runCli, startCli } from './cli-rig.ts'
import { applianceAt, eventually, secret, simulate, startBox, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

const ESCAPE = '\u001b['

/** A proxy whose appliances are live, refused and waiting for a code. */
async function threeStates(t: TestContext) {
  const [good, refusing, wanting] = await Promise.all([
    simulate(t, { product: 'azure' }),
    simulate(t, { product: 'microsoft365' }),
    simulate(t, { product: 'google-cloud', totpSecret: 'JBSWY3DPEHPK3PXP' }),
  ])
  const wrong = { type: 'password', username: 'Administrator', password: secret('wrong') } as const
  const proxy = await startProxy(t, [
    { ...applianceAt(good, 'azure'), name: 'good' },
    { ...applianceAt(refusing, 'microsoft365', { credentials: wrong }), name: 'bad' },
    { ...applianceAt(wanting, 'google-cloud'), name: 'mfa' },
  ])
  const states = () => [...proxy.server.appliances.values()].map(({ session }) => session.status().state)
  await eventually('all have come to rest', () => states().join() === 'live,refused,waiting')
  return { ...proxy, at: ['--url', proxy.url] }
}

test('status on a terminal has a colour for each state, a bar to the next renewal, and times as spans', async t => {
  const { at } = await threeStates(t)
  const { exitCode, stdout } = await runCli(['status', ...at], { screen: 40 })
  assert.equal(exitCode, 1)
  const lines = stdout.split('\n')
  const line = (name: string) => lines.find(text => text.startsWith(`${name} `)) ?? ''
  assert.ok(line('good').includes(`${ESCAPE}32mlive `), stdout)
  assert.match(stripVTControlCharacters(line('good')), /█{15,16}░? +in \d+ min +in \d+ (min|h)$/)
  assert.ok(line('bad').includes(`${ESCAPE}31mrefused`), stdout)
  assert.ok(line('mfa').includes(`${ESCAPE}33mwaiting`), stdout)
  assert.match(stdout, /^mfa: CODE_WANTED\. .*\nRun: veeam-auth-proxy code mfa\.$/m)
  assert.match(stdout, /^bad: SIGN_IN_REFUSED\. .*\n.*veeam-auth-proxy sign-in bad\.$/m)
})

test('columns of the status stand below each other, colours or not', async t => {
  const { at } = await threeStates(t)
  const { stdout } = await runCli(['status', ...at], { screen: 40 })
  const plain = stripVTControlCharacters(stdout).split('\n').slice(0, 4)
  const column = plain[0]?.indexOf('state') ?? -1
  assert.deepEqual(
    plain.map(text => text.slice(column).split(' ')[0]),
    ['state', 'live', 'refused', 'waiting'],
  )
})

for (const [what, env] of [
  ['NO_COLOR', { NO_COLOR: '1' }],
  ['a terminal without colours', { TERM: 'dumb' }],
] as const) {
  test(`status has no colours with ${what}`, async t => {
    const { url, server } = await startBox(t, { product: 'azure' })
    await server.appliances.get('box')?.session.ready()
    const { stdout } = await runCli(['status', '--url', url], { screen: 40, env })
    assert.ok(!stdout.includes(ESCAPE), stdout)
    assert.match(stdout, /^box +azure +live +█/m)
  })
}

test('status in a pipe has no colours and no bars', async t => {
  const { at } = await threeStates(t)
  const { stdout } = await runCli(['status', ...at])
  assert.ok(!stdout.includes(ESCAPE) && !stdout.includes('█'), stdout)
  assert.match(stdout, /^good +azure +live +password +20\d\d-\d\d-\d\dT[\d:]+Z/m)
})

test('what an appliance says of an error cannot steer the terminal', async t => {
  const message = 'no \u001b[2Jwonder\u0007'
  const appliance = await startScripted(t, { token: async () => ({ status: 400, body: { message } }) })
  const { url } = await startProxy(t, [applianceAt(appliance, 'azure')])
  await eventually('it is refused', async () => {
    const { stdout } = await runCli(['status', '--url', url], { screen: 40, env: { NO_COLOR: '1' } })
    assert.ok(!stdout.includes('\u001b') && !stdout.includes('\u0007'), stdout)
    return stdout.includes('wonder')
  })
})

test('status --quiet prints what is wrong and nothing else', async t => {
  const { at } = await threeStates(t)
  const { exitCode, stdout, stderr } = await runCli(['status', '--quiet', ...at])
  assert.deepEqual([exitCode, stdout], [1, ''])
  assert.match(stderr, /^bad: SIGN_IN_REFUSED.*\n.*\nmfa: CODE_WANTED.*\n.*\n$/)
  const good = await startBox(t, { product: 'azure' })
  await good.server.appliances.get('box')?.session.ready()
  assert.deepEqual(await runCli(['status', '-q', '--url', good.url]), { exitCode: 0, stdout: '', stderr: '' })
})

test('status --watch on a terminal draws over what it has drawn, within the height of the screen', async t => {
  const { at } = await threeStates(t)
  const watched = startCli(t, ['status', '--watch', ...at], { screen: 4, env: { NO_COLOR: '1' } })
  const back = `${ESCAPE}3A\r${ESCAPE}J`
  await eventually('it is drawn a third time', () => watched.text().split(back).length === 3)
  const drawings = watched.text().split(back)
  for (const drawing of drawings) assert.equal(drawing.split('\n').length - 1, 3, drawing)
  assert.match(drawings[1] ?? '', /good +azure +live/)
  watched.stop()
  assert.equal(await watched.ended, 0)
})

test('status --watch in a pipe prints anew what has changed, and outlives the proxy', async t => {
  const { url, server, simulator } = await startBox(t, { product: 'azure' })
  const session = server.appliances.get('box')?.session
  await session?.ready()
  const watched = startCli(t, ['status', '--watch', '--url', url])
  const json = startCli(t, ['status', '--watch', '--json', '--url', url])
  await eventually('both have looked', () => /live/.test(watched.text()) && /live/.test(json.text()))
  await session?.signOut()
  await eventually('both have seen it', () => /signed-out/.test(watched.text()) && /signed-out/.test(json.text()))
  await server.close(0)
  await eventually('both miss the proxy', () =>
    [watched, json].every(({ text }) => text().includes(`No proxy answers at ${url}`)),
  )
  assert.equal(watched.text().split('appliance  product').length - 1, 2, watched.text())
  const [first = '', second = ''] = json.text().split('\n')
  const stateOf = (line: string): string => JSON.parse(line).appliances[0].state
  assert.deepEqual([stateOf(first), stateOf(second)], ['live', 'signed-out'])
  assert.equal(simulator.counts.signOuts, 1)
})
