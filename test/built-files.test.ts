import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { builtMain } from './built.ts'
import { get } from './caller.ts'
import { entryOf, spawnCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, simulate } from './rig.ts'

test('what the built files load only when it is asked for is there', () => {
  const load = createRequire(builtMain())
  assert.equal(load('./tldts.cjs').getDomain('appliance.backup.example.co.uk'), 'example.co.uk')
  assert.equal(typeof load('./ws.cjs').Server, 'function')
  assert.equal(typeof load('./light-my-request.cjs').inject, 'function')
  const validate = load('./ajv-compiler.cjs')()({}, { customOptions: {} })({ schema: { type: 'integer' } })
  assert.deepEqual([validate(1), validate('x')], [true, false])
  const write = load('./fast-json-stringify-compiler.cjs')()({}, {})({ schema: { type: 'integer' } })
  assert.equal(write(1), '1')
})

test('the built files keep the cookies of an appliance, for which they load the list of public suffixes', async t => {
  const simulator = await simulate(t, { product: 'microsoft365' })
  const appliance = entryOf('box', 'microsoft365', simulator)
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `listen: 127.0.0.1:0\nappliances:\n${appliance}`)
  const served = spawnCli(t, ['serve'], { cwd: folder.path })
  const [, url = ''] = await served.match(/"url":"(http:[^"]+)"/)
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  assert.equal((await get(url, '/box/v8/Jobs')).status, 200)
})
