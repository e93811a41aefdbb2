import assert from 'node:assert/strict'
import { test } from 'node:test'
import { call, get } from './caller.ts'
import { applianceAt, eventually, secret, simulate, startProxy } from './rig.ts'

const [all, some, chief] = ['the-secret-of-all-of-it', 'the-secret-of-some-of-it', 'the-secret-of-some-admin']
const callers = [
  { name: 'all', secret: secret(all), rule: {}, admin: true },
  { name: 'some', secret: secret(some), rule: {}, admin: false, appliances: ['mine'] },
  { name: 'chief', secret: secret(chief), rule: {}, admin: true, appliances: ['mine'] },
]

test('a caller that is limited to some appliances is shown no name and no state of any other, admin or not', async t => {
  const simulators = [await simulate(t, { product: 'azure' }), await simulate(t, { product: 'azure' })]
  const boxes = simulators.map((each, i) => ({ ...applianceAt(each, 'azure'), name: i === 0 ? 'mine' : 'secret-one' }))
  const { url } = await startProxy(t, boxes, { guard: { callers } })
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const as = (key: string, path: string, method = 'GET') => call(url, { method, path, fields: { 'x-proxy-key': key } })
  for (const key of [some, chief]) {
    for (const path of ['/-/status', '/nobody/x', '/', '/-/nothing']) {
      const reply = await as(key, path)
      assert.doesNotMatch(reply.text, /secret-one/, path)
      assert.ok(!reply.text.includes(simulators[1]?.url ?? ''), path)
    }
    assert.match((await as(key, '/-/status')).text, /"mine"/)
  }
  assert.match((await as(all, '/-/status')).text, /"secret-one"/)
  const { signIns } = { ...simulators[1]?.counts }
  const denied = await as(chief, '/-/appliances/secret-one/sign-in', 'POST')
  assert.deepEqual([denied.status, denied.json.get('code')], [404, 'UNKNOWN_APPLIANCE'])
  assert.doesNotMatch(String(denied.json.get('detail')).replace('"secret-one"', ''), /secret-one/)
  assert.equal(simulators[1]?.counts.signIns, signIns)
  assert.equal((await as(chief, '/-/appliances/mine/sign-in', 'POST')).status, 200)
  const reloaded = await as(chief, '/-/reload', 'POST')
  assert.deepEqual([reloaded.status, reloaded.json.get('appliances')], [200, ['mine']])
})
