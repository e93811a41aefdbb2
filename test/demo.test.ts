import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readConfiguration } from '../src/config/configuration.ts'
import { products } from '../src/dialects/index.ts'
import { runCli, spawnCli } from './cli-rig.ts'
import { eventually } from './rig.ts'

const demoFile = fileURLToPath(new URL('../config/demo.yaml', import.meta.url))
const READY = /Ctrl-C ends the demo/

/** The lines to paste, as the demo printed them. */
function linesToTry(text: string): string[] {
  return [...text.matchAll(/^ {2}(curl .*)$/gm)].map(([, line = '']) => line)
}

test('the configuration of the demo has every product, and no secret of its own', async () => {
  const { appliances } = await readConfiguration(demoFile, { DEMO_PASSWORD: 'x', DEMO_TOTP: 'x' })
  assert.deepEqual(appliances.map(({ product }) => product.name).sort(), products.map(({ name }) => name).sort())
})

test('the demo prints a curl line for each appliance that works when pasted, and serves them over many token lives', async t => {
  const demo = spawnCli(t, ['demo', '--port', '0', '--token-life', '1.5'], { env: { LOG_LEVEL: 'trace' } })
  await demo.match(READY)
  const lines = linesToTry(demo.text())
  assert.equal(lines.length, products.length, demo.text())
  for (const line of lines) {
    const { stdout } = await promisify(execFile)('sh', ['-c', line])
    const answer: Record<string, unknown> = JSON.parse(stdout)
    const items = answer.results ?? answer.data
    assert.ok(Array.isArray(items) && items.length === 2, stdout)
  }

  const urls = lines.map(line => /'(.*)'/.exec(line)?.[1] ?? '')
  const renewals = (name: string) => demo.text().split(`${name}: session renewed with refresh_token`).length - 1
  const names = urls.map(url => new URL(url).pathname.split('/')[1] ?? '')
  let requests = 0
  await eventually(
    'each session was renewed three times',
    async () => {
      for (const url of urls) {
        const { status } = await fetch(url)
        assert.equal(status, 200, `${url} after ${requests} requests`)
        requests += 1
      }
      return names.every(name => renewals(name) >= 3)
    },
    60_000,
  )
  assert.ok(requests > 10)

  const { rawHeaders }: { rawHeaders: string[] } = JSON.parse(
    await (await fetch(`${new URL(urls[1] ?? '').origin}/tenant/v8/simulator/echo`)).text(),
  )
  const token = rawHeaders.find(value => value.startsWith('Bearer '))?.slice(7) ?? ''
  assert.ok(token.length > 20)
  assert.ok(!demo.text().includes(token), 'a token was printed')
  demo.child.kill('SIGKILL')
})

test('the demo ends within 2 s of an interrupt, a request in flight included', async t => {
  const demo = spawnCli(t, ['demo', '--port', '0'])
  await demo.match(READY)
  const [line = ''] = linesToTry(demo.text())
  const { origin } = new URL(/'(.*)'/.exec(line)?.[1] ?? '')
  const hanging = fetch(`${origin}/tenant/v8/simulator/slow?ms=60000`).catch(() => undefined)
  await new Promise(resolve => setTimeout(resolve, 200))
  const before = performance.now()
  demo.child.kill('SIGINT')
  assert.equal(await demo.ended, 0)
  assert.ok(performance.now() - before < 4_000, 'twice the bound, for a busy machine')
  await hanging
})

test('the demo says that its port is taken and which option changes it', async t => {
  const holder = createServer().listen(0, '127.0.0.1')
  t.after(() => holder.close())
  await once(holder, 'listening')
  const address = holder.address()
  const port = typeof address === 'object' && address !== null ? String(address.port) : ''
  const { exitCode, stdout, stderr } = await runCli(['demo', '--port', port])
  assert.deepEqual({ exitCode, stdout }, { exitCode: 1, stdout: '' })
  assert.equal(
    stderr,
    `error: 127.0.0.1:${port} is taken by another process. Choose another port: npm run demo -- --port 8081\n`,
  )
})

test('the demo refuses a token life that is none, with exit code 2', async () => {
  const { exitCode, stderr } = await runCli(['demo', '--token-life', 'long'])
  assert.equal(exitCode, 2)
  assert.match(stderr, /--token-life long is not a number of seconds/)
})
