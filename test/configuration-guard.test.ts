import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { readConfiguration } from '../src/config/configuration.ts'
import { ConfigurationError } from '../src/config/mistake.ts'
import { call } from './caller.ts'
import { entryOf } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { startProxy } from './rig.ts'

function read(t: TestContext, lines: string) {
  const entry = entryOf('box', 'azure', { url: 'https://127.0.0.1:9', fingerprint: 'AB'.repeat(32) })
  const file = temporaryFolder(t).write('appliances.yaml', `${lines}\nappliances:\n${entry}`)
  return readConfiguration(file, {})
}

test('host names and origins may be written in capitals and with the port of their scheme, and are let in as browsers send them', async t => {
  const { guard } = await read(
    t,
    "allowedHosts: [Proxy.Example, '[FE80::1]']\nallowedOrigins: ['https://Grafana.Example:443', 'HTTP://a.example:80', 'http://a.example:3000']",
  )
  const { url } = await startProxy(t, [], { guard })
  const status = async (fields: Record<string, string>) =>
    (await call(url, { method: 'GET', path: '/-/livez', fields })).status
  for (const host of ['proxy.example', 'PROXY.example:8080', '[fe80::1]:8080']) {
    assert.equal(await status({ host }), 200, host)
  }
  for (const origin of ['https://grafana.example', 'http://a.example', 'http://a.example:3000']) {
    assert.equal(await status({ origin }), 200, origin)
  }
  for (const origin of ['http://grafana.example', 'https://grafana.example:444', 'https://a.example', 'null']) {
    assert.equal(await status({ origin }), 403, origin)
  }
})

for (const [lines, place] of [
  ["allowedHosts: ['*.example']", 'allowedHosts'],
  ["allowedHosts: ['*']", 'allowedHosts'],
  ['allowedHosts: [proxy.example:8080]', 'allowedHosts'],
  ['allowedHosts: [https://proxy.example]', 'allowedHosts'],
  ["allowedOrigins: ['*']", 'allowedOrigins'],
  ["allowedOrigins: ['https://*.example']", 'allowedOrigins'],
  ['allowedOrigins: [https://grafana.example/]', 'allowedOrigins'],
  ['allowedOrigins: [https://me@grafana.example]', 'allowedOrigins'],
  ["allowedOrigins: ['https://grafana.example?a']", 'allowedOrigins'],
  ["allowedOrigins: ['null']", 'allowedOrigins'],
] as const) {
  test(`${lines} could never match, or not as it reads, and is refused with its place`, async t => {
    await assert.rejects(read(t, lines), (error: unknown) => {
      assert.ok(error instanceof ConfigurationError)
      assert.deepEqual(
        error.mistakes.map(({ path }) => path),
        [`${place}.0`],
      )
      return true
    })
  })
}
