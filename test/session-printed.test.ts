import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { readConfiguration } from '../src/config/configuration.ts'
import { products } from '../src/dialects/index.ts'
import { systemClock } from '../src/session/clock.ts'
import { SessionCookies } from '../src/session/cookies.ts'
import { LiveSession } from '../src/session/live.ts'
import { entryOf } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { sharedCertificate } from './rig.ts'

/** What a log, a debugger, a crash or a template would make of a value. */
function printed(value: object): string[] {
  const deep = { showHidden: true, depth: 9 }
  const error = new Error('failed', { cause: { held: [value] } })
  return [
    JSON.stringify({ value }),
    inspect(value, deep),
    inspect({ a: [{ value }] }, deep),
    inspect(error, deep),
    `${value}`,
  ]
}

for (const product of products) {
  test(`no way of printing a session of ${product.name} shows a token or a cookie of it`, () => {
    const cookies = new SessionCookies('https://box.example')
    cookies.take('forgery=cookie-4711; path=/; secure', '/')
    const options = product.name === 'microsoft365' ? { apiVersion: 'v8', antiforgery: 'cookies' } : {}
    const session = new LiveSession({
      dialect: product.dialect({ ...options, ...(product.name === 'google-cloud' ? { shortTermRefresh: false } : {}) }),
      grant: 'password',
      since: 0,
      tokens: { accessToken: 'access-4711', refreshToken: 'refresh-4711', life: 3_600_000 },
      cookies,
      sent: { wall: systemClock.wall(), monotonic: systemClock.monotonic() },
    })
    assert.deepEqual(session.secrets, ['access-4711', 'refresh-4711', 'cookie-4711'])
    for (const text of printed(session)) assert.doesNotMatch(text, /4711/)
    for (const text of printed(session).slice(0, 4)) assert.match(text, /\[redacted\]/)
    assert.equal(session.toKept().accessToken, 'access-4711', 'the state directory gets it all the same')
  })
}

test('no way of printing a configuration shows the private key of a listener', async t => {
  const { cert, key, fingerprint } = await sharedCertificate()
  const folder = temporaryFolder(t)
  folder.write('cert.pem', cert)
  folder.write('key.pem', key, 0o600)
  const tls = '{ address: 0, tls: { cert: cert.pem, key: key.pem } }'
  const entry = entryOf('box', 'azure', { url: 'https://box.example', fingerprint })
  const file = folder.write(
    'appliances.yaml',
    `listen: ${tls.replace('0', "'127.0.0.1:0'")}\nappliances:\n${entry}    listen: ${tls}\n`,
  )
  const configuration = await readConfiguration(file, {})
  const listens = [configuration.listen, ...(configuration.appliances[0]?.listen ?? [])]
  assert.deepEqual(
    listens.map(listen => typeof listen.tls === 'object' && listen.tls.key.trim() === key.trim()),
    [true, true],
  )
  const secret = key.split('\n')[3] ?? ''
  assert.ok(secret.length > 40)
  for (const text of printed(configuration)) assert.ok(!text.includes(secret))
})
