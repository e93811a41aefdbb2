import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { simulatorRoot } from '../src/simulator/index.ts'
import { entryOf, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, simulate } from './rig.ts'

const path = `/box${simulatorRoot.azure}/status/200`

async function serve(t: TestContext, lines = '') {
  const simulator = await simulate(t, { product: 'azure' })
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `listen: unix:proxy.sock\n${lines}appliances:\n${entryOf('box', 'azure', simulator)}`)
  const { text } = startCli(t, ['serve'], { cwd: folder.path })
  await eventually(`signed in: ${text()}`, () => text().includes('signed in'))
  /** What comes back for these bytes until the end of the connection. */
  const say = (bytes: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(join(folder.path, 'proxy.sock'), () => socket.write(bytes))
      let heard = ''
      socket.on('data', chunk => {
        heard += chunk
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(heard))
    })
  return { say, simulator }
}

test('over a Unix socket HTTP/1.0 is served, and the same Host is wanted as anywhere else', async t => {
  const { say, simulator } = await serve(t)
  for (const version of ['1.0', '1.1']) {
    const ask = (fields: string) => say(`GET ${path} HTTP/${version}\r\n${fields}Connection: close\r\n\r\n`)
    assert.match(await ask('Host: localhost\r\n'), /^HTTP\/1\.1 200 /, version)
    const before = simulator.counts.requests
    const without = await ask('')
    assert.match(without, /^HTTP\/1\.1 400 /, version)
    assert.match(without, /no Host field/)
    assert.match(await ask('Host:\r\n'), /^HTTP\/1\.1 400 /, version)
    assert.match(await ask('Host: proxy.sock\r\n'), /^HTTP\/1\.1 421 /, version)
    assert.equal(simulator.counts.requests, before, version)
  }
  assert.match(await say(`GET ${path}\r\n\r\n`), /^HTTP\/1\.1 400 /, 'HTTP/0.9')
})

test('over a Unix socket allowedHosts lets in what a tool sends there, and callers prove who they are', async t => {
  const key = 'the-secret-of-the-collector'
  const { say } = await serve(t, `allowedHosts: [d]\ncallers:\n  - { name: collector, secret: ${key} }\n`)
  const ask = (fields: string) => say(`GET ${path} HTTP/1.0\r\nHost: d\r\n${fields}\r\n`)
  assert.match(await ask(''), /^HTTP\/1\.1 401 /)
  assert.match(await ask(`X-Proxy-Key: ${key}\r\n`), /^HTTP\/1\.1 200 /)
  const failures = await Promise.all(Array.from({ length: 12 }, () => ask('X-Proxy-Key: wrong\r\n')))
  assert.ok(
    failures.some(answer => answer.startsWith('HTTP/1.1 429 ')),
    'attempts over a socket are counted too',
  )
  assert.match(await ask(`X-Proxy-Key: ${key}\r\n`), /^HTTP\/1\.1 200 /)
})
