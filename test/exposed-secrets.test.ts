import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigurationError } from '../src/config/configuration.ts'
import { loadConfiguration } from '../src/config/load.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { sharedCertificate } from './rig.ts'

const appliance = (password: string) => `appliances:
  one:
    product: azure
    url: https://backup.example
    credentials: { username: admin, password: ${password} }
`

test('a configuration file that holds secrets and is open to others is warned of, with the chmod to run', async t => {
  const folder = temporaryFolder(t)
  const env = { PASSWORD: 'in-the-environment' }
  const warned = async (text: string, mode: number, more = {}) => {
    const file = folder.write("it's here.yaml", text)
    chmodSync(file, mode)
    const { warnings } = await loadConfiguration({ config: file }, { ...env, ...more })
    return warnings
  }
  const plain = appliance("'a plain one'")
  const other = appliance('{ env: PASSWORD }')
  const caller = 'callers: [{ name: a, secret: the-secret-of-a-caller }]\n'
  for (const [text, mode] of [
    [plain, 0o644],
    [plain, 0o640],
    [caller + other, 0o604],
  ] as const) {
    const [warning, ...more] = await warned(text, mode)
    assert.deepEqual(more, [])
    assert.match(
      warning ?? '',
      /it's here\.yaml holds secrets and is open to group or others; run: chmod 600 '.*'\\''s/,
    )
  }
  assert.deepEqual(await warned(plain, 0o600), [])
  assert.deepEqual(await warned(other, 0o644), [])
  assert.deepEqual(await warned(plain, 0o644, { CREDENTIALS_DIRECTORY: folder.path }), [])
})

test('a private key that is open to group or others is refused like any other secret, with the chmod to run', async t => {
  const folder = temporaryFolder(t)
  const { cert, key } = await sharedCertificate()
  folder.write('proxy.pem', cert, 0o644)
  const file = folder.write('proxy.key', key, 0o640)
  const listen = "listen: { address: '127.0.0.1:0', tls: { cert: proxy.pem, key: proxy.key } }\n"
  const config = folder.write('appliances.yaml', listen + appliance("'a plain one'"))
  await assert.rejects(loadConfiguration({ config }, {}), (error: Error) => {
    assert.ok(error instanceof ConfigurationError)
    assert.match(error.message, /1:9: listen: secret file .*proxy\.key is open to group or others \(mode 0640\)/)
    assert.ok(error.message.includes(`Run: chmod 600 ${join(folder.path, 'proxy.key')}`))
    assert.ok(!error.message.includes('PRIVATE KEY'))
    return true
  })
  await loadConfiguration({ config }, { CREDENTIALS_DIRECTORY: folder.path })
  chmodSync(file, 0o600)
  const { listen: read } = await loadConfiguration({ config }, {})
  assert.ok(typeof read.tls === 'object' && read.tls.key.trim() === key.trim())
})
