import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { defaultPassword, type SimulatorOptions, startSimulator } from '../src/simulator/index.ts'
import { entryOf, spawnCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually } from './rig.ts'

/** A process that serves one simulated appliance called `box`. */
async function serveBox(t: TestContext, options: SimulatorOptions, env: Record<string, string> = {}) {
  const simulator = await startSimulator(options)
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `appliances:\n${entryOf('box', options.product, simulator)}`)
  const process = spawnCli(t, ['--port', '0'], { cwd: folder.path, env })
  const [, url = ''] = await process.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
  await process.match(/"signed in"/)
  return { simulator, process, url }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`serve signs out upstream and ends with exit code 0 on ${signal}`, async t => {
    const { simulator, process, url } = await serveBox(t, { product: 'microsoft365' })
    assert.equal((await fetch(`${url}/box/v8/Jobs`)).status, 200)
    process.child.kill(signal)
    assert.equal(await process.ended, 0, process.text())
    assert.equal(simulator.counts.signIns, 1)
    assert.equal(simulator.counts.signOuts, 1)
  })
}

test('serve lets a request in flight finish before it ends', async t => {
  const { simulator, process, url } = await serveBox(t, { product: 'azure' })
  const answer = fetch(`${url}/box/api/v8.1/simulator/slow?ms=1500`)
  await eventually('the request is upstream', () => simulator.counts.requests === 1)
  process.child.kill('SIGTERM')
  await process.match(/shutting down/)
  await assert.rejects(fetch(`${url}/-/livez`), 'new connections are refused')
  const { status } = await answer
  assert.equal(status, 200)
  assert.equal(await process.ended, 0)
  assert.equal(simulator.counts.aborted, 0)
})

test('an appliance that hangs in the midst of a sign-in does not spoil the end: exit code 0, others are signed out', async t => {
  const [box, hanging] = await Promise.all([startSimulator({ product: 'azure' }), startSimulator({ product: 'azure' })])
  t.after(() => Promise.all([box.close(), hanging.close()]))
  hanging.misbehave({ where: 'token', answer: 'hang' })
  const folder = temporaryFolder(t)
  const entries = `${entryOf('box', 'azure', box)}${entryOf('hanging', 'azure', hanging)}`
  folder.write('appliances.yaml', `shutdownTimeout: 1s\nappliances:\n${entries}`)
  const process = spawnCli(t, ['--port', '0'], { cwd: folder.path })
  const [, url = ''] = await process.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
  await process.match(/"signed in"/)
  const answer = fetch(`${url}/box/api/v8.1/simulator/slow?ms=9000`).catch(() => undefined)
  await eventually('the request is upstream', () => box.counts.requests === 1)
  process.child.kill('SIGTERM')
  assert.equal(await process.ended, 0, process.text())
  assert.equal(box.counts.signOuts, 1)
  await answer
})

test('a shutdownTimeout that came with a reload counts, also where it is longer than the one at the start', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  const write = (time: string) =>
    folder.write('appliances.yaml', `shutdownTimeout: ${time}\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  write('200ms')
  const process = spawnCli(t, ['--port', '0'], { cwd: folder.path })
  const [, url = ''] = await process.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
  await process.match(/"signed in"/)
  write('30s')
  await process.match(/"configuration reloaded"/)
  const answer = fetch(`${url}/box/api/v8.1/simulator/slow?ms=11500`)
  await eventually('the request is upstream', () => simulator.counts.requests === 1)
  process.child.kill('SIGTERM')
  assert.equal((await answer).status, 200)
  assert.equal(await process.ended, 0, process.text())
})

test('a second signal cuts a shutdown short, with exit code 1', async t => {
  const { simulator, process, url } = await serveBox(t, { product: 'azure' })
  const answer = fetch(`${url}/box/api/v8.1/simulator/slow?ms=9000`).catch(() => undefined)
  await eventually('the request is upstream', () => simulator.counts.requests === 1)
  process.child.kill('SIGTERM')
  await process.match(/shutting down/)
  process.child.kill('SIGTERM')
  assert.equal(await process.ended, 1)
  assert.match(process.text(), /second SIGTERM/)
  await answer
})

test('serve writes its configuration to the log once at the start, with every secret masked', async t => {
  const { process } = await serveBox(t, { product: 'azure' })
  const lines = process.text().trim().split('\n')
  const configurations = lines.filter(line => line.includes('"msg":"configuration"'))
  assert.equal(configurations.length, 1)
  assert.match(configurations[0] ?? '', /"listen":"127\.0\.0\.1:0".*"box":\{"product":"azure".*\[redacted\] from/)
})

test('serve at level trace writes neither password nor token nor cookie', async t => {
  const { process, url } = await serveBox(t, { product: 'microsoft365', tokenLife: 2 }, { LOG_LEVEL: 'trace' })
  const echo = async () => (await fetch(`${url}/box/v8/simulator/echo`)).text()
  const echoes = [await echo()]
  await process.match(/session renewed/)
  echoes.push(await echo())
  process.child.kill('SIGTERM')
  await process.ended
  const values = echoes.flatMap(text => {
    const { rawHeaders }: { rawHeaders: string[] } = JSON.parse(text)
    return rawHeaders.filter((_, index) => /^(authorization|cookie)$/i.test(rawHeaders[index - 1] ?? ''))
  })
  const secrets = values.flatMap(value => value.split(/; |[= ]/)).filter(part => part.length >= 16)
  // The positive control: these are the very values that travel.
  assert.ok(secrets.length >= 4, `only ${secrets.length} secrets were seen`)
  assert.ok(secrets.every(value => echoes.join('').includes(value)))
  for (const value of [...secrets, defaultPassword]) assert.ok(!process.text().includes(value), 'a secret was printed')
})

test('serve with a wrong configuration names the place and ends with exit code 2', async t => {
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', 'appliances:\n  box:\n    prodct: azure\n')
  const process = spawnCli(t, [], { cwd: folder.path })
  assert.equal(await process.ended, 2)
  assert.match(
    process.text(),
    /^appliances\.yaml:2:3: appliances\.box\.product: "product" is missing\. Rename "prodct" to "product"\./,
  )
})

test('flags win over the environment, and the environment over the file', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('other.yaml', `listen: 127.0.0.3:1\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  const env = { CONFIG: 'other.yaml', HOST: '127.0.0.2', PORT: '1', LOG_LEVEL: 'silent' }
  const served = startCli(t, ['serve', '--port', '0', '--log-level', 'info'], { env, cwd: folder.path })
  await eventually('it listens', () => /listening on http:\/\/127\.0\.0\.2:\d{4,5}"/.test(served.text()))
})

test('serve refuses a log level that there is not, with exit code 2', async t => {
  const folder = temporaryFolder(t)
  const served = startCli(t, ['serve', '--log-level', 'loud'], { cwd: folder.path })
  assert.equal(await served.ended, 2)
  assert.match(served.text(), /--log-level loud is not a level\. Give trace, debug, info/)
})

test('an appliance in the environment alone is served at the root', async t => {
  const simulator = await startSimulator({ product: 'microsoft365' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  const env = {
    VEEAM_PRODUCT: 'microsoft365',
    VEEAM_URL: simulator.url,
    VEEAM_USERNAME: 'Administrator',
    VEEAM_PASSWORD_FILE: folder.write('password', `${defaultPassword}\n`),
    VEEAM_TLS_FINGERPRINT: simulator.fingerprint,
    PORT: '0',
  }
  const served = startCli(t, [], { env, cwd: folder.path })
  await eventually('it listens', () => served.text().includes('listening on'))
  const [, url] = /listening on (http:[^"]+)/.exec(served.text()) ?? []
  const answer = await fetch(`${url}/v8/Jobs?limit=1`)
  assert.equal(answer.status, 200)
  assert.match(await answer.text(), /"Job 1"/)
  assert.equal((await fetch(`${url}/-/readyz`)).status, 200)
})

test('serve that is told to stop from inside ends with exit code 0 and signs out', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `appliances:\n${entryOf('box', 'azure', simulator)}`)
  const served = startCli(t, ['serve', '--port', '0'], { cwd: folder.path })
  await eventually('it has signed in', () => served.text().includes('"signed in"'))
  served.stop()
  assert.equal(await served.ended, 0)
  assert.equal(simulator.counts.signOuts, 1)
})
