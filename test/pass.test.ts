import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Appliance } from '../src/appliance.ts'
import { Listener } from '../src/listen/listener.ts'
import { createLog } from '../src/log.ts'
import { Account } from '../src/proxy/account.ts'
import { bind, targetOf } from '../src/proxy/mount.ts'
import { pass } from '../src/proxy/pass.ts'
import { Redactor } from '../src/redactor.ts'
import { systemClock } from '../src/session/clock.ts'
import { get, jsonOf } from './caller.ts'
import { applianceAt, silent } from './rig.ts'

class Broken extends Appliance {
  override get cache(): never {
    throw new Error('a defect')
  }
}

test('a defect of the proxy on the way of a request is told to its caller and in the log, and ends nothing', async t => {
  const lines: string[] = []
  const redactor = new Redactor()
  const log = createLog('info', redactor, { write: line => lines.push(line) })
  const configuration = applianceAt({ url: 'https://127.0.0.1:1', certificate: '' }, 'azure')
  const appliance = new Broken(configuration, { log: silent, clock: systemClock, redactor })
  t.after(() => appliance.destroy())
  const accounts: Account[] = []
  const listener = await Listener.open({ address: { host: '127.0.0.1', port: 0 } }, (request, response) => {
    bind(request, 'box')
    const target = targetOf(request)
    const account = new Account(request.url ?? '', 'an:id')
    accounts.push(account)
    if (target !== undefined) pass(appliance, { request, response, target, account }, log)
  })
  t.after(() => listener.close(0))
  for (let i = 0; i < 2; i += 1) {
    const reply = await get(listener.url, '/x')
    assert.deepEqual([reply.status, reply.json.get('code')], [500, 'INTERNAL'])
    assert.equal(reply.fields['x-request-id'], 'an:id')
  }
  assert.deepEqual(
    accounts.map(({ failure }) => failure),
    ['INTERNAL', 'INTERNAL'],
  )
  const [line] = lines.map(jsonOf)
  assert.deepEqual([line?.get('id'), line?.get('msg')], ['an:id', 'the proxy failed'])
  assert.match(lines[0] ?? '', /a defect/)
})
