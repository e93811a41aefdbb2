import assert from 'node:assert/strict'
import { mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { defaultPassword, startSimulator } from '../src/simulator/index.ts'
import { applianceAt, type Context, eventually, secret, startProxy } from './rig.ts'

async function folder(t: Context): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'audit-'))
  t.after(() => rm(made, { recursive: true, force: true }))
  return made
}

async function linesOf(file: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
}

const KEY = 'the-secret-of-the-reader-caller'

async function audited(t: Context) {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const audit = join(await folder(t), 'audit.log')
  const callers = [{ name: 'reader', secret: secret(KEY), rule: { readOnly: true }, admin: true }]
  const proxy = await startProxy(t, [applianceAt(simulator, 'azure')], { guard: { callers }, audit })
  return { ...proxy, audit, simulator }
}

test('every request and every grant is a line of the audit log: who, what, and what was decided', async t => {
  const { url, audit } = await audited(t)
  const fields = { 'x-proxy-key': KEY, 'x-request-id': 'req-1' }
  await fetch(`${url}/box/api/v8.1/policies?limit=1&filter=very-private`, { headers: fields }).then(r => r.text())
  await fetch(`${url}/box/api/v8.1/simulator/effects`, { method: 'POST', headers: { 'x-proxy-key': KEY }, body: 'abc' })
  await fetch(`${url}/box/api/v8.1/policies`)
  await eventually('four lines are written', async () => (await linesOf(audit)).length >= 4)
  const lines = await linesOf(audit)
  const [allowed, denied, unknown] = lines.filter(line => line.event === 'request')
  assert.deepEqual(
    [
      allowed?.id,
      allowed?.caller,
      allowed?.appliance,
      allowed?.method,
      allowed?.path,
      allowed?.status,
      allowed?.decision,
    ],
    ['req-1', 'reader', 'box', 'GET', '/api/v8.1/policies', 200, 'allowed'],
  )
  assert.ok(Number(allowed?.bytesDown) > 100 && Number(allowed?.milliseconds) > 0)
  assert.deepEqual([denied?.method, denied?.status, denied?.decision], ['POST', 403, 'denied: METHOD_DENIED'])
  assert.deepEqual([unknown?.caller, unknown?.status, unknown?.decision], [null, 401, 'denied: CALLER_UNKNOWN'])
  assert.ok(lines.some(line => line.event === 'sign-in' && line.accepted === true && line.appliance === 'box'))
  const text = await readFile(audit, 'utf8')
  for (const hidden of [defaultPassword, KEY, 'very-private']) assert.ok(!text.includes(hidden), 'it holds no secret')
})

test('the audit log is made for its owner only, and goes on in a new file after it was moved away', async t => {
  const { url, audit } = await audited(t)
  await eventually('the sign-in is written', async () => (await linesOf(audit)).length > 0)
  assert.equal((await stat(audit)).mode & 0o777, 0o600)
  await rename(audit, `${audit}.1`)
  await fetch(`${url}/-/reload`, { method: 'POST', headers: { 'x-proxy-key': KEY } })
  await eventually('the new file has lines', async () => (await linesOf(audit)).length > 0)
  assert.ok((await linesOf(audit)).some(line => line.event === 'reload'))
})
