import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import type { SimulatedProduct, SimulatorOptions } from '../src/simulator/index.ts'
import { simulatedProducts, simulatorRoot } from '../src/simulator/index.ts'
import { get, giveCode, statusOf } from './caller.ts'
import { entryOf, spawnCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { applianceAt, eventually, type Overrides, secret, simulate, startProxy } from './rig.ts'

const stateKey = 'a state key for tests, 32 letters'
const totpSecret = 'JBSWY3DPEHPK3PXP'

/** An appliance and a state directory; `run` starts a proxy on both, as often as it is called. */
async function site(t: TestContext, options: SimulatorOptions) {
  const simulator = await simulate(t, options)
  const folder = temporaryFolder(t)
  const directory = join(folder.path, 'state')
  const root = `/box${simulatorRoot[options.product]}`
  async function run(overrides: Overrides = {}, key = stateKey) {
    const appliances = [applianceAt(simulator, options.product, overrides)]
    return startProxy(t, appliances, { state: { directory, key: secret(key) } })
  }
  async function live(url: string) {
    await eventually('live', async () => (await get(url, '/-/readyz')).status === 200)
    assert.equal((await get(url, `${root}/status/200`)).status, 200)
  }
  return { simulator, folder, directory, root, run, live }
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('a restart', { concurrency: 4 }, () => {
  for (const product of simulatedProducts) {
    test(`a proxy that is started again goes on with its session at ${product}, and asks for no token`, async t => {
      const { simulator, run, live } = await site(t, { product })
      for (let i = 0; i < 3; i += 1) {
        const { server, url } = await run()
        await live(url)
        await server.close(1000)
      }
      const { signIns, tokenRequests, signOuts, unauthorized } = simulator.counts
      assert.deepEqual(
        { signIns, tokenRequests, signOuts, unauthorized },
        { signIns: 1, tokenRequests: 1, signOuts: 0, unauthorized: 0 },
      )
    })
  }

  test('a proxy that was down for longer than a token lives is live again without the password', async t => {
    const { simulator, run, live } = await site(t, { product: 'microsoft365', tokenLife: 1, refreshLife: 600 })
    const first = await run()
    await live(first.url)
    await first.server.close(1000)
    await new Promise(resolve => setTimeout(resolve, 1200))
    const { url } = await run()
    await live(url)
    assert.equal(simulator.counts.signIns, 1)
    assert.ok(simulator.counts.refreshes >= 1)
  })

  test('a restart needs no new code where a person gave one', async t => {
    const { simulator, run, live } = await site(t, { product: 'azure', totpSecret })
    const first = await run()
    await eventually('waiting', async () => (await statusOf(first.url)).get('state') === 'waiting')
    await giveCode(first.url, new TOTP({ secret: Secret.fromBase32(totpSecret) }).generate())
    await live(first.url)
    await first.server.close(1000)
    const { url } = await run()
    await live(url)
    assert.deepEqual([simulator.counts.signIns, simulator.counts.mfa], [1, 1])
    assert.equal((await statusOf(url)).get('grant'), 'mfa')
  })

  test('a restart goes on with the cookies that an answer to a caller set last', async t => {
    const { simulator, root, run, live } = await site(t, { product: 'microsoft365', rotateCookies: true })
    const first = await run()
    await live(first.url)
    assert.equal((await get(first.url, `${root}/status/200`)).status, 200)
    await first.server.close(1000)
    // Longer than the appliance still takes a cookie that it has replaced.
    await new Promise(resolve => setTimeout(resolve, 3300))
    const { url } = await run()
    await live(url)
    const { signIns, tokenRequests, unauthorized } = simulator.counts
    assert.deepEqual({ signIns, tokenRequests, unauthorized }, { signIns: 1, tokenRequests: 1, unauthorized: 0 })
  })

  const damages: [string, (file: string) => void][] = [
    ['cut short', file => writeFileSync(file, readFileSync(file).subarray(0, -1))],
    ['empty', file => writeFileSync(file, '')],
    [
      'changed in one bit',
      file =>
        writeFileSync(
          file,
          readFileSync(file).map((byte, i) => (i === 40 ? byte ^ 1 : byte)),
        ),
    ],
    ['none of ours', file => writeFileSync(file, '{"access_token": "abc"}')],
  ]

  for (const [what, damage] of damages) {
    test(`a kept session whose file is ${what} is set aside with a warning, and costs one sign-in`, async t => {
      const { simulator, directory, run, live } = await site(t, { product: 'azure' })
      const first = await run()
      await live(first.url)
      await first.server.close(1000)
      damage(join(directory, 'box.sealed'))
      const { url, lines, server } = await run()
      await live(url)
      assert.equal(simulator.counts.signIns, 2)
      const names = readdirSync(directory)
      assert.equal(names.filter(name => name.startsWith('box.sealed.damaged-')).length, 1, names.join())
      assert.ok(lines.some(line => line.includes('was set aside') && line.includes('"level":40')))
      await server.close(1000)
      await live((await run()).url)
      assert.equal(simulator.counts.signIns, 2, 'what was kept anew is good')
    })
  }

  test('a session that was kept under another key costs one sign-in and never the start', async t => {
    const { simulator, run, live } = await site(t, { product: 'azure' })
    const first = await run()
    await live(first.url)
    await first.server.close(1000)
    await live((await run({}, 'another key for the same directory')).url)
    assert.equal(simulator.counts.signIns, 2)
  })

  test('nothing in the state directory is readable for others, or holds a token in the clear', async t => {
    const { directory, run, live, root } = await site(t, { product: 'microsoft365' })
    const { url } = await run()
    await live(url)
    const echo = await get(url, `${root}/echo`)
    const [, token = ''] = /Bearer ([\w.-]+)/.exec(echo.text) ?? []
    assert.ok(token.length > 100, 'the positive control: this is the token')
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    const files = readdirSync(directory).map(name => join(directory, name))
    assert.ok(files.length >= 3, files.join())
    for (const file of files) {
      const found = statSync(file)
      assert.equal(found.mode & 0o777, 0o600, file)
      if (found.isFile()) assert.ok(!readFileSync(file).includes(token.slice(0, 40)), file)
    }
  })

  test('a refused password is not tried a third time within the hour, however often the proxy is started', async t => {
    const { simulator, run, root } = await site(t, { product: 'azure' })
    simulator.setPassword('changed')
    for (let i = 0; i < 5; i += 1) {
      const { server, url } = await run()
      await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
      const reply = await get(url, `${root}/status/200`)
      assert.deepEqual([reply.status, reply.json.get('code')], [502, 'SIGN_IN_REFUSED'])
      await server.close(1000)
      assert.equal(simulator.counts.refusedSignIns, Math.min(2, i + 1))
    }
    const { url } = await run({
      credentials: { type: 'password', username: 'Administrator', password: secret('changed') },
    })
    await eventually('live', async () => (await get(url, '/-/readyz')).status === 200)
    assert.equal(simulator.counts.refusedSignIns, 2, 'another password has attempts of its own')
  })

  test('credentials of somebody else do not take up the session that was kept', async t => {
    const { simulator, run, live } = await site(t, { product: 'azure' })
    const first = await run({ identity: 'one account' })
    await live(first.url)
    await first.server.close(1000)
    await live((await run({ identity: 'another account' })).url)
    assert.equal(simulator.counts.signIns, 2)
  })

  async function serve(t: TestContext, product: SimulatedProduct, env: Record<string, string>) {
    const simulator = await simulate(t, { product })
    const folder = temporaryFolder(t)
    folder.write('appliances.yaml', `appliances:\n${entryOf('box', product, simulator)}`)
    folder.write('key', stateKey)
    const start = () =>
      spawnCli(t, ['serve', '--port', '0'], { cwd: folder.path, env: { ...env, STATE_DIRECTORY: 'state' } })
    return { simulator, folder, start }
  }

  test('a second process on the same state directory refuses to start, and names the first', async t => {
    const { simulator, start } = await serve(t, 'azure', { STATE_KEY_FILE: 'key' })
    const first = start()
    await first.match(/"signed in"/)
    const second = start()
    assert.equal(await second.ended, 1)
    assert.match(second.text(), new RegExp(`held by process ${first.child.pid} on .+\\nEnd that process`))
    first.child.kill('SIGKILL')
    await first.ended
    const third = start()
    await third.match(/session taken up from the state directory/)
    third.child.kill('SIGTERM')
    assert.equal(await third.ended, 0)
    assert.deepEqual([simulator.counts.signIns, simulator.counts.signOuts], [1, 0])
  })

  test('a state directory without a key is left alone, and a warning says so', async t => {
    const { simulator, folder, start } = await serve(t, 'azure', {})
    const served = start()
    await served.match(/"signed in"/)
    await served.match(/"level":40.*stateKey is not: sessions are not kept/)
    served.child.kill('SIGTERM')
    assert.equal(await served.ended, 0)
    assert.deepEqual(readdirSync(folder.path).sort(), ['appliances.yaml', 'key'])
    assert.equal(simulator.counts.signOuts, 1)
  })
})
