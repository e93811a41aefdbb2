import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog, debugSwitch } from '../src/log.ts'
import { Redactor } from '../src/redactor.ts'
import { startSimulator } from '../src/simulator/index.ts'
import { call, get, jsonOf } from './caller.ts'
import { entryOf, spawnCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { type Context, eventually, secret, startBox } from './rig.ts'

async function start(t: Context, level: string, guard = {}) {
  const redactor = new Redactor()
  const lines: string[] = []
  const log = createLog(level, redactor, { write: line => lines.push(line) })
  const box = await startBox(t, { product: 'azure' }, {}, { log, redactor, guard })
  return { ...box, lines }
}

const set = (url: string, level: string, fields = {}) =>
  call(url, { method: 'POST', path: `/-/log-level?level=${level}`, fields })

test('POST /-/log-level changes what is logged from then on, for requests and sessions alike', async t => {
  const { url, lines, simulator } = await start(t, 'error')
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  await get(url, '/box/api/v8.1/policies')
  assert.equal(lines.length, 0)
  assert.equal((await get(url, '/-/log-level')).json.get('level'), 'error')
  const reply = await set(url, 'debug')
  assert.deepEqual([reply.status, reply.json.get('level')], [200, 'debug'])
  await get(url, '/-/livez')
  await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
  await eventually('a page of its own and a renewal are told of', () =>
    ['"path":"/-/livez"', 'session renewed'].every(said => lines.some(line => line.includes(said))),
  )
  assert.equal(simulator.counts.refreshes, 1)
  const before = lines.length
  const json = { 'content-type': 'application/json' }
  const body = '{"level":"fatal"}'
  await call(url, { method: 'POST', path: '/-/log-level', fields: json, body })
  await get(url, '/box/api/v8.1/policies')
  await eventually('the change itself', () => lines.length > before)
  const changes = lines.map(jsonOf).filter(line => line.get('msg') === 'log level changed')
  assert.deepEqual(
    changes.map(line => [line.get('from'), line.get('to')]),
    [
      ['error', 'debug'],
      ['debug', 'fatal'],
    ],
  )
  assert.ok(!lines.slice(before + 2).some(line => line.includes('"path":"/api/v8.1/policies"')), lines.join(''))
})

test('a log level that there is not is refused with those there are, and nothing changes', async t => {
  const { url } = await start(t, 'warn')
  const bad = [
    { path: '/-/log-level?level=loud' },
    { path: '/-/log-level' },
    { path: '/-/log-level?level=debug&level=info' },
    { path: '/-/log-level', fields: { 'content-type': 'application/json' }, body: '{"level":1}' },
    { path: '/-/log-level', fields: { 'content-type': 'application/json' }, body: '{"level":"constructor"}' },
    { path: '/-/log-level', fields: { 'content-type': 'application/json' }, body: '{' },
    { path: '/-/log-level', fields: { 'content-type': 'text/plain' }, body: 'debug' },
  ]
  for (const request of bad) {
    const reply = await call(url, { method: 'POST', ...request })
    assert.deepEqual([reply.status, reply.json.get('code')], [400, 'BAD_REQUEST'], JSON.stringify(request))
  }
  const reply = await set(url, 'loud')
  assert.match(reply.text, /trace, debug, info, warn, error, fatal, silent/)
  assert.equal((await get(url, '/-/log-level')).json.get('level'), 'warn')
})

test('only admins may change the log level, and no page of another site', async t => {
  const keys = { reader: 'the-secret-of-the-reader', admin: 'the-secret-of-the-admin' }
  const callers = Object.entries(keys).map(([name, key]) => {
    return { name, secret: secret(key), rule: {}, admin: name === 'admin' }
  })
  const { url } = await start(t, 'warn', { callers })
  const as = (key: string, more = {}) => set(url, 'debug', { 'x-proxy-key': key, ...more })
  assert.equal((await set(url, 'debug')).json.get('code'), 'CALLER_UNKNOWN')
  assert.equal((await as(keys.reader)).json.get('code'), 'ADMIN_WANTED')
  assert.equal((await as(keys.admin, { origin: 'https://evil.example' })).json.get('code'), 'ORIGIN_DENIED')
  assert.equal((await get(url, '/-/log-level', { 'x-proxy-key': keys.reader })).json.get('level'), 'warn')
  assert.equal((await as(keys.admin)).json.get('level'), 'debug')
})

test('the switch for debug goes back to the level that there was, also when it was changed in between', () => {
  for (const [level, after] of [
    ['info', 'info'],
    ['warn', 'warn'],
    ['silent', 'silent'],
    ['trace', 'trace'],
    ['debug', 'debug'],
  ] as const) {
    const log = createLog(level, new Redactor(), { write: () => undefined })
    const flip = debugSwitch(log)
    flip()
    assert.equal(log.level, level === 'debug' ? 'info' : 'debug')
    flip()
    assert.equal(log.level, after)
    log.level = 'error'
    flip()
    flip()
    assert.equal(log.level, 'error')
  }
})

test('SIGUSR2 turns level debug on in a running process, and off again', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `appliances:\n${entryOf('box', 'azure', simulator)}`)
  const served = spawnCli(t, ['--port', '0'], { cwd: folder.path })
  const [, url = ''] = await served.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
  await get(url, '/-/livez', { 'x-request-id': 'before' })
  served.child.kill('SIGUSR2')
  await served.match(/"from":"info","to":"debug"/)
  await get(url, '/-/livez', { 'x-request-id': 'between' })
  await served.match(/"id":"between"/)
  served.child.kill('SIGUSR2')
  await served.match(/"from":"debug","to":"info"/)
  await get(url, '/-/livez', { 'x-request-id': 'after' })
  served.child.kill('SIGTERM')
  assert.equal(await served.ended, 0)
  assert.doesNotMatch(served.text(), /"id":"(before|after)"/)
})
