import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure, type FailureCode } from '../src/errors.ts'
import { createLog } from '../src/log.ts'
import { Redactor } from '../src/redactor.ts'
import type { SessionEvent } from '../src/session/session.ts'
import { SessionLog } from '../src/session-log.ts'
import { get, jsonOf } from './caller.ts'
import { applianceAt, eventually, startProxy } from './rig.ts'
import { granted, startScripted } from './scripted-appliance.ts'

function logOf() {
  const lines: Map<string, unknown>[] = []
  const log = createLog('info', new Redactor(), { write: line => lines.push(jsonOf(line)) })
  return { told: new SessionLog(log, 'box'), lines }
}

function failed(code: FailureCode, detail = 'Nobody there.'): SessionEvent {
  return { type: 'failed', grant: 'refresh_token', failure: new Failure(code, detail), retryIn: 1234, repeated: 1 }
}

const renewed: SessionEvent = { type: 'granted', grant: 'refresh_token', renewal: true, life: 900_000, renewsAt: 0 }

test('the same failure again is counted: it is told of at powers of two, and then at every 64th time', () => {
  const { told, lines } = logOf()
  for (let i = 0; i < 200; i += 1) told.tell(failed('APPLIANCE_UNREACHABLE'))
  assert.deepEqual(
    lines.map(line => line.get('repeated')),
    [1, 2, 4, 8, 16, 32, 64, 128, 192],
  )
  const [first] = lines
  const { time, ...rest } = Object.fromEntries(first ?? [])
  assert.equal(typeof time, 'number')
  assert.deepEqual(rest, {
    level: 40,
    appliance: 'box',
    failure: 'APPLIANCE_UNREACHABLE',
    grant: 'refresh_token',
    repeated: 1,
    retryInSeconds: 1.2,
    detail: 'Nobody there.',
    msg: 'no session brought',
  })
})

test('two failures that take turns are counted each', () => {
  const { told, lines } = logOf()
  for (let i = 0; i < 32; i += 1) told.tell(failed(i % 2 === 0 ? 'APPLIANCE_TIMEOUT' : 'APPLIANCE_UNREACHABLE'))
  assert.equal(lines.length, 10)
})

test('a renewal is one line, which tells how many attempts had failed before; then they are counted anew', () => {
  const { told, lines } = logOf()
  told.tell(renewed)
  for (let i = 0; i < 3; i += 1) told.tell(failed('APPLIANCE_BUSY'))
  told.tell(renewed)
  told.tell(failed('APPLIANCE_BUSY'))
  assert.deepEqual(
    lines.map(line => [line.get('msg'), line.get('repeated') ?? line.get('afterFailures')]),
    [
      ['session renewed', undefined],
      ['no session brought', 1],
      ['no session brought', 2],
      ['session renewed', 3],
      ['no session brought', 1],
    ],
  )
})

test('an appliance that rejects every session it grants is told of ever less often, until one lives its life', () => {
  const { told, lines } = logOf()
  for (let i = 0; i < 20; i += 1) for (const event of [{ type: 'rejected' } as const, renewed]) told.tell(event)
  const rejections = () => lines.filter(line => line.get('level') === 40).map(line => line.get('repeated'))
  assert.deepEqual(rejections(), [1, 2, 4, 8, 16])
  told.tell(renewed)
  told.tell({ type: 'rejected' })
  assert.deepEqual(rejections(), [1, 2, 4, 8, 16, 1])
})

test('a session that cannot be kept on disk is told of ever less often, too', () => {
  const { told, lines } = logOf()
  for (let i = 0; i < 10; i += 1) told.tell({ type: 'not-kept', reason: 'ENOSPC' })
  assert.deepEqual(
    lines.map(line => line.get('repeated')),
    [1, 2, 4, 8],
  )
})

test('each renewal of a proxy at work is one line at level info, with the appliance and the next time', async t => {
  const scripted = await startScripted(t, { token: (_, nth) => granted(nth, nth < 3 ? 1 : 3600) })
  const { url, lines } = await startProxy(t, [applianceAt(scripted, 'azure')])
  await eventually('two renewals', () => scripted.tokenRequests.length >= 3)
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const told = lines.map(jsonOf).filter(line => line.get('msg') !== 'request')
  assert.deepEqual(
    told.map(line => [line.get('level'), line.get('appliance'), line.get('msg'), line.get('grant')]),
    [
      [30, 'box', 'signed in', 'password'],
      [30, 'box', 'session renewed', 'refresh_token'],
      [30, 'box', 'session renewed', 'refresh_token'],
    ],
  )
  for (const line of told) assert.ok(Date.parse(String(line.get('renewsAt'))) > 0)
})
