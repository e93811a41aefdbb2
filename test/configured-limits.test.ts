import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigurationError, readConfiguration } from '../src/config/configuration.ts'
import { defaultLimits } from '../src/listen/limits.ts'
import { simulatorRoot } from '../src/simulator/index.ts'
import { call, get } from './caller.ts'
import { entryOf, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { freePort, raw } from './listener-rig.ts'
import { openRaw } from './raw-http.ts'
import { eventually, sharedCertificate, simulate } from './rig.ts'

const appliance = `appliances:
  one:
    product: azure
    url: https://backup.example
    credentials: { username: admin, password: 'a plain one' }
`

function limitsIn(t: TestContext, limits: string) {
  const source = temporaryFolder(t).write('appliances.yaml', `limits: ${limits}\n${appliance}`)
  return readConfiguration(source, {}).then(configuration => configuration.limits)
}

/** `serve` with these lines at the top of its configuration, which `write` replaces. */
async function serve(t: TestContext, lines: string) {
  const simulator = await simulate(t, { product: 'azure' })
  const folder = temporaryFolder(t)
  const { cert, key } = await sharedCertificate()
  folder.write('proxy.pem', cert)
  folder.write('proxy.key', key)
  const write = (top: string) =>
    folder.write('appliances.yaml', `${top}\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  write(lines)
  const cli = startCli(t, ['serve'], { cwd: folder.path })
  await eventually(`it serves: ${cli.text()}`, () => cli.text().includes('listening on'))
  const [, url = ''] = /listening on (http[^"]+)/.exec(cli.text()) ?? []
  return { ...cli, url, write, simulator }
}

describe('limits in the configuration', { concurrency: 6 }, () => {
  test('are those of the file, and by default those of the documentation', async t => {
    const file = '{ head: 32KB, fields: 20, url: 512B, connections: 7, headTimeout: 3s, bodyTimeout: 2h }'
    assert.deepEqual(await limitsIn(t, file), {
      head: 32_768,
      fields: 20,
      url: 512,
      connections: 7,
      headTimeout: 3_000,
      bodyTimeout: 7_200_000,
    })
    assert.deepEqual(await limitsIn(t, '{ fields: 20 }'), { ...defaultLimits, fields: 20 })
    assert.deepEqual(await limitsIn(t, '{ head: 4KB }'), { ...defaultLimits, head: 4_096, url: 4_096 })
  })

  for (const [limits, path, said] of [
    ['{ heads: 1KB }', 'limits.heads', /unknown key.*Did you mean "head"/],
    ['{ head: 16384 }', 'limits.head', /16KB/],
    ['{ head: 16k }', 'limits.head', /16KB/],
    ['{ head: 10B }', 'limits.head', /out of range. Give 1KB to 1MB/],
    ['{ head: 1GB }', 'limits.head', /out of range. Give 1KB to 1MB/],
    ['{ url: 32KB }', 'limits.url', /larger than head.*Raise head, which is 16KB/],
    ['{ url: 0B }', 'limits.url', /out of range. Give 256B to 1MB/],
    ['{ fields: 0 }', 'limits.fields', /from 16 to 65535/],
    ['{ connections: 0 }', 'limits.connections', /1 or more/],
    ['{ connections: many }', 'limits.connections', /1 or more/],
    ['{ headTimeout: 0s }', 'limits.headTimeout', /out of range. Give 1s to 1h/],
    ['{ headTimeout: 1000h }', 'limits.headTimeout', /out of range. Give 1s to 1h/],
    ['{ bodyTimeout: 60 }', 'limits.bodyTimeout', /1m/],
    ['{ bodyTimeout: 0ms }', 'limits.bodyTimeout', /out of range. Give 1s to 1d/],
    ['5', 'limits', /./],
  ] as const) {
    test(`that cannot be are refused with their place and what to write: ${limits}`, async t => {
      await assert.rejects(limitsIn(t, limits), (error: Error) => {
        assert.ok(error instanceof ConfigurationError)
        const [mistake, ...more] = error.mistakes
        assert.deepEqual([mistake?.path, more], [path, []])
        assert.match(`${mistake?.message}. ${mistake?.remedy}`, said)
        assert.match(mistake?.place ?? '', /appliances\.yaml:1:/)
        return true
      })
    })
  }

  test('hold for heads, fields, paths and connections', async t => {
    const limits = '{ head: 2KB, fields: 16, url: 300B, connections: 3, headTimeout: 2s, bodyTimeout: 2s }'
    const { url } = await serve(t, `listen: 127.0.0.1:0\nlimits: ${limits}`)
    const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, '']))
    // Host and Connection are fields, too.
    assert.equal((await get(url, '/-/livez', fields(14))).status, 200)
    assert.equal((await get(url, '/-/livez', fields(15))).status, 431)
    assert.equal((await get(url, `/-/livez?${'x'.repeat(291)}`)).status, 200)
    assert.equal((await get(url, `/-/livez?${'x'.repeat(292)}`)).status, 414)
    assert.equal((await get(url, '/-/livez', { a: 'x'.repeat(3_000) })).status, 431)
    const held = [raw(t, url), raw(t, url), raw(t, url)]
    for (const { socket } of held) socket.write('GET /-/livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
    for (const { text } of held) await eventually('an answer', () => text().startsWith('HTTP/1.1 200'))
    assert.equal(await raw(t, url).ended, '')
  })

  test('hold for slow heads and bodies, and a long upload is no slow one', async t => {
    const limits = '{ headTimeout: 1s, bodyTimeout: 1s }'
    const { url, simulator } = await serve(t, `listen: 127.0.0.1:0\nlimits: ${limits}`)
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const path = `/box${simulatorRoot.azure}/uploads`
    const post = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n`
    for (const beginning of ['GET / HTTP/1.1\r\nHost: lo', `${post}12345`]) {
      const caller = openRaw(t, url)
      caller.say(beginning)
      await caller.heard(1)
      assert.deepEqual(caller.statuses(), [408], beginning)
    }
    const caller = openRaw(t, url)
    caller.say(post)
    for (let i = 0; i < 10; i++) {
      caller.say('x'.repeat(10_000))
      await sleep(300)
    }
    await caller.heard(1)
    assert.deepEqual([caller.statuses(), simulator.counts.uploads], [[200], 1])
  })

  test('of the bodies of requests are those of their appliance, and there is none by default', async t => {
    const [small, any] = [await simulate(t, { product: 'azure' }), await simulate(t, { product: 'azure' })]
    const folder = temporaryFolder(t)
    const entries = `${entryOf('small', 'azure', small)}    maxBody: 1KB\n${entryOf('any', 'azure', any)}`
    folder.write('appliances.yaml', `listen: 127.0.0.1:0\nappliances:\n${entries}`)
    const { text } = startCli(t, ['serve'], { cwd: folder.path })
    await eventually('it serves', () => text().includes('listening on'))
    const [, url = ''] = /listening on (http[^"]+)/.exec(text()) ?? []
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const post = (name: string, body: Buffer) => {
      const fields = { 'content-length': body.length }
      return call(url, { method: 'POST', path: `/${name}${simulatorRoot.azure}/uploads`, fields, body })
    }
    assert.equal((await post('small', Buffer.alloc(1_024))).status, 200)
    const refused = await post('small', Buffer.alloc(1_025))
    assert.deepEqual([refused.status, refused.json.get('code')], [413, 'BODY_TOO_LARGE'])
    assert.equal((await post('any', Buffer.alloc(30_000_000))).status, 200)
    assert.deepEqual([small.counts.uploads, any.counts.uploads], [1, 1])
  })

  test('that are changed while the proxy runs are refused with the word to restart it, and the old ones hold', async t => {
    const listen = `listen: 127.0.0.1:${await freePort()}`
    const { url, write, text } = await serve(t, `${listen}\nlimits: { fields: 20 }`)
    await sleep(100)
    write(`${listen}\nlimits: { fields: 30 }`)
    await eventually('the change is seen', () => text().includes('limits cannot be changed while the proxy runs'))
    const reply = await call(url, { method: 'POST', path: '/-/reload' })
    assert.deepEqual([reply.status, reply.json.get('code')], [422, 'CONFIGURATION_REFUSED'])
    assert.match(String(reply.json.get('detail')), /limits cannot be changed while the proxy runs; restart it/)
    const fields = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`a${i}`, '']))
    assert.equal((await get(url, '/-/livez', fields)).status, 431)
    write(`${listen}\nlimits: { fields: 20 }`)
    assert.equal((await call(url, { method: 'POST', path: '/-/reload' })).status, 200)
  })
})

test('what an address is listened on with cannot change under way, and the refusal blames no other process', async t => {
  const address = `127.0.0.1:${await freePort()}`
  const { url, write } = await serve(t, `listen: ${address}`)
  write(`listen: { address: '${address}', tls: { cert: proxy.pem, key: proxy.key } }`)
  const reply = await call(url, { method: 'POST', path: '/-/reload' })
  assert.deepEqual([reply.status, reply.json.get('code')], [422, 'CONFIGURATION_REFUSED'])
  assert.match(String(reply.json.get('detail')), new RegExp(`^tls of ${address} cannot be changed while`))
})
