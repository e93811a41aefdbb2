import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '../src/log.ts'
import { Account } from '../src/proxy/account.ts'
import { Redactor } from '../src/redactor.ts'
import { RequestLog, shownPath } from '../src/request-log.ts'
import { call, get, jsonOf } from './caller.ts'
import { openRaw } from './raw-http.ts'
import { applianceAt, type Context, eventually, secret, startBox, startProxy } from './rig.ts'
import { granted, type Script, startScripted } from './scripted-appliance.ts'

const KEY = 'the-secret-of-the-reader-caller'

type Line = Map<string, unknown>

/** The lines of requests, of those logged at a level. */
function requestsIn(lines: readonly string[], level?: number): Line[] {
  const all = lines.map(jsonOf).filter(line => line.get('msg') === 'request')
  return level === undefined ? all : all.filter(line => line.get('level') === level)
}

/** The one line of a request, once it is there. */
async function lineOf(lines: readonly string[], id: string): Promise<Line> {
  const found = () => requestsIn(lines).filter(line => line.get('id') === id)
  await eventually(`a line for ${id}`, () => found().length > 0)
  const [line, ...more] = found()
  assert.deepEqual(more, [], `more than one line for ${id}`)
  return line ?? new Map()
}

async function start(t: Context, script: Script = {}, guard = {}) {
  const scripted = await startScripted(t, script)
  const proxy = await startProxy(t, [applianceAt(scripted, 'azure')], { guard })
  await eventually('ready', async () => (await get(proxy.url, '/-/readyz')).status === 200)
  return { ...scripted, ...proxy }
}

const as = (id: string) => ({ 'x-request-id': id, 'x-proxy-key': KEY })

test('every request is one line: who, where to, what came of it, how long each part took, and how many bytes', async t => {
  const callers = [{ name: 'reader', secret: secret(KEY), rule: {}, admin: true }]
  const script: Script = {
    resource: (seen, response) =>
      setTimeout(() => {
        response.writeHead(201).write('abc')
        setTimeout(() => response.end(seen.body), 60)
      }, 40),
  }
  const { url, lines } = await start(t, script, { callers })
  const body = 'x'.repeat(1000)
  await call(url, { method: 'POST', path: '/box/v1/things?limit=1', fields: as('one'), body })
  const line = await lineOf(lines, 'one')
  const { durationMs, firstByteMs, ...rest } = Object.fromEntries(line)
  assert.ok(Number(firstByteMs) >= 35 && Number(durationMs) >= Number(firstByteMs) + 50, `${firstByteMs} ${durationMs}`)
  assert.ok(typeof rest.time === 'number')
  assert.deepEqual(
    { ...rest, time: 0 },
    {
      level: 30,
      time: 0,
      msg: 'request',
      id: 'one',
      caller: 'reader',
      appliance: 'box',
      method: 'POST',
      path: '/v1/things?limit',
      status: 201,
      source: 'upstream',
      waitedMs: 0,
      bytesUp: 1000,
      bytesDown: 1003,
    },
  )
})

test('a request that the proxy answers itself is a line with the code of the failure', async t => {
  const { url, lines } = await start(t, { resource: (_, response) => response.destroy() })
  await get(url, '/nobody/x', as('nobody'))
  await get(url, '/box/x', as('broken'))
  await get(url, '/box/api/oauth2/token', as('withheld'))
  const told = async (id: string) => {
    const line = await lineOf(lines, id)
    return ['level', 'appliance', 'status', 'source', 'failure'].map(name => line.get(name))
  }
  assert.deepEqual(await told('nobody'), [30, undefined, 404, 'proxy', 'UNKNOWN_APPLIANCE'])
  assert.deepEqual(await told('broken'), [30, 'box', 502, 'proxy', 'APPLIANCE_UNREACHABLE'])
  assert.deepEqual(await told('withheld'), [30, 'box', 403, 'proxy', 'CREDENTIALS_WITHHELD'])
})

test('what the proxy answers itself is counted in bytes as well, and the head alone as none', async t => {
  const { url, lines } = await start(t, { resource: (_, response) => response.destroy() })
  const paths = ['/-/status', '/nobody/x', '/box/x', '/box/api/oauth2/token', '/-/metrics']
  await call(url, { method: 'POST', path: '/-/log-level?level=debug' })
  for (const [i, path] of paths.entries()) {
    const { text } = await get(url, path, as(`get-${i}`))
    assert.ok(text.length > 0)
    assert.equal((await lineOf(lines, `get-${i}`)).get('bytesDown'), Buffer.byteLength(text), path)
    await call(url, { method: 'HEAD', path, fields: as(`head-${i}`) })
    assert.equal((await lineOf(lines, `head-${i}`)).get('bytesDown'), 0, path)
  }
})

test('a request that waits for a session says how long', async t => {
  const scripted = await startScripted(t, {
    async token(_, nth) {
      await new Promise(resolve => setTimeout(resolve, 300))
      return granted(nth)
    },
  })
  const { url, lines } = await startProxy(t, [applianceAt(scripted, 'azure')])
  assert.equal((await get(url, '/box/x', as('early'))).status, 200)
  const line = await lineOf(lines, 'early')
  assert.ok(Number(line.get('waitedMs')) > 100, String(line.get('waitedMs')))
  assert.ok(Number(line.get('durationMs')) >= Number(line.get('waitedMs')))
})

test('a request that is sent again with a newer session is one line that says so', async t => {
  const { simulator, url, lines } = await startBox(t, { product: 'azure' })
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  simulator.revoke('access')
  await get(url, '/box/api/v8.1/policies', as('again'))
  const line = await lineOf(lines, 'again')
  assert.deepEqual([line.get('status'), line.get('replayed')], [200, true])
})

test('a caller that leaves before its answer has begun is a line with status 499', async t => {
  const { url, lines, requests } = await start(t, { resource: () => undefined })
  const caller = openRaw(t, url)
  caller.say('GET /box/slow HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: left\r\n\r\n')
  await eventually('it is upstream', () => requests.length === 1)
  caller.socket.destroy()
  const line = await lineOf(lines, 'left')
  assert.deepEqual(
    [line.get('status'), line.get('source'), line.get('cutOff'), line.get('failure')],
    [499, 'proxy', true, undefined],
  )
})

test('an answer that is cut off midway is a line that says so', async t => {
  const { url, lines } = await start(t, {
    resource(_, response) {
      response.writeHead(200, { 'content-length': 100 }).write('begun')
      setTimeout(() => response.destroy(), 30)
    },
  })
  await assert.rejects(get(url, '/box/x', as('cut')))
  const line = await lineOf(lines, 'cut')
  assert.deepEqual([line.get('status'), line.get('cutOff'), line.get('bytesDown')], [200, true, 5])
  assert.equal(line.get('failure'), 'APPLIANCE_UNREACHABLE')
})

test('a path is written with the names of its query and without their values', () => {
  for (const [path, shown] of [
    ['/a', '/a'],
    ['/a?', '/a'],
    ['/a?b=1&c=2=3&&d', '/a?b&c&*'],
    ['/a?b=1&b=2', '/a?b'],
    ['/a?the-whole-query-is-a-secret', '/a?*'],
    ['/a?x=?&y=/', '/a?x&y'],
    ['/%7Etilde/(1)?$filter=a', '/%7Etilde/(1)?$filter'],
    ['/\u009b31m\u00e9\u0007', '/%C2%9B31m%C3%A9%07'],
  ] as const) {
    assert.equal(shownPath(path), shown)
  }
  assert.equal(shownPath(`/${'x'.repeat(8000)}`).length, 1025)
})

test('a path that is cut short has no part of a secret that stood where it was cut', () => {
  const redactor = new Redactor()
  redactor.learn('Bcdfghjk-the-secret-of-somebody')
  const clean = (text: string) => redactor.clean(text)
  for (let before = 990; before < 1030; before += 1) {
    const shown = shownPath(`/${'x'.repeat(before)}/Bcdfghjk-the-secret-of-somebody/more?a=1`, clean)
    assert.doesNotMatch(shown, /B/)
  }
})

test("the proxy's own pages are logged at debug, unless somebody was refused there", async t => {
  const callers = [{ name: 'reader', secret: secret(KEY), rule: {}, admin: false }]
  const { url, lines } = await start(t, {}, { callers })
  for (const path of ['/-/livez', '/-/readyz', '/-/status', '/-/metrics']) await get(url, path, as(path.slice(3)))
  for (const id of ['livez', 'readyz', 'status', 'metrics']) assert.equal((await lineOf(lines, id)).get('level'), 20)
  await call(url, { method: 'POST', path: '/-/reload', fields: as('no-admin') })
  const refused = await lineOf(lines, 'no-admin')
  assert.deepEqual([refused.get('level'), refused.get('failure')], [30, 'ADMIN_WANTED'])
})

test('a path that cannot be routed is a line like any other', async t => {
  const { url, lines } = await start(t)
  const reply = await get(url, '/-/%ff', as('odd'))
  assert.equal(reply.fields['x-request-id'], 'odd')
  const line = await lineOf(lines, 'odd')
  assert.deepEqual([line.get('status'), line.get('failure')], [reply.status, reply.json.get('code')])
})

test('nothing of a request is looked at for the log where its level is not written', () => {
  const lines: string[] = []
  const log = createLog('warn', new Redactor(), { write: line => lines.push(line) })
  class Untouched extends Account {
    override get duration(): number {
      throw new Error('it was looked at')
    }
  }
  const requestLog = new RequestLog(log, new Redactor())
  const ended = { method: 'GET', status: 200, id: 'a', whole: true }
  requestLog.write(new Untouched('/box/x', 'a'), ended)
  log.level = 'info'
  assert.throws(() => requestLog.write(new Untouched('/box/x', 'a'), ended), /looked at/)
  requestLog.write(new Untouched('/-/livez', 'a'), ended)
  requestLog.write(new Account('/box/x', 'a'), ended)
  log.level = 'silent'
  requestLog.write(new Untouched('/box/x', 'a'), ended)
  assert.equal(lines.length, 1)
})

test('a line is JSON whatever is in it, tells all there is to tell, and no secret', () => {
  const lines: string[] = []
  const redactor = new Redactor()
  redactor.learn('a"secret\\of-somebody')
  const log = createLog('info', redactor, { write: line => lines.push(line) })
  const account = new Account('/x/"\\\n\u001b/a"secret\\of-somebody?"=1&limit=2', 'an:id')
  account.caller = { name: 'a "caller" \\ of-somebody', admin: false, rule: {}, appliances: undefined, rights: '' }
  Object.assign(account, {
    appliance: 'box',
    fromUpstream: true,
    failure: 'ANSWER_BROKEN',
    replayed: true,
    cache: 'miss',
  })
  Object.assign(account, { waited: 1.26, firstByte: 2.34, bytesUp: 3, bytesDown: 4 })
  account.end()
  new RequestLog(log, redactor).write(account, { method: 'GET', status: 502, id: 'an:id', whole: false })
  log.info({ id: 'an:id' }, 'by pino')
  const [own, byPino] = lines.map(line => Object.fromEntries(jsonOf(line)))
  const { time, durationMs, ...rest } = own ?? {}
  assert.ok(Number(durationMs) >= 0 && Math.abs(Number(time) - Number(byPino?.time)) < 5_000)
  assert.deepEqual(rest, {
    level: byPino?.level,
    id: 'an:id',
    caller: 'a "caller" \\ of-somebody',
    appliance: 'box',
    method: 'GET',
    path: '/x/"\\%0A%1B/[redacted]?*&limit',
    status: 502,
    source: 'upstream',
    failure: 'ANSWER_BROKEN',
    replayed: true,
    cache: 'miss',
    cutOff: true,
    waitedMs: 1.3,
    firstByteMs: 2.3,
    bytesUp: 3,
    bytesDown: 4,
    msg: 'request',
  })
  assert.ok(lines.every(line => line.endsWith('}\n') && line.indexOf('\n') === line.length - 1))
})

test('the answer tells the id of its request: the one that the caller gave, or a new one', async t => {
  const { url } = await start(t, {
    resource: (_, response) => response.writeHead(200, { 'X-Request-Id': "the appliance's own" }).end('ok'),
  })
  const idOf = async (path: string, id?: string) => {
    const { raw } = await get(url, path, id === undefined ? {} : { 'x-request-id': id })
    const values = raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === 'x-request-id')
    assert.equal(values.length, 1, `${path}: ${values}`)
    return values[0] ?? ''
  }
  for (const path of ['/box/x', '/nobody', '/-/livez', '/-/nothing', '/box/x/../y']) {
    assert.equal(await idOf(path, 'caller:1.a_b-c'), 'caller:1.a_b-c', path)
    const made = [await idOf(path), await idOf(path)]
    for (const id of made) assert.match(id, /^[0-9a-f-]{36}$/)
    assert.notEqual(made[0], made[1])
    for (const unfit of ['with space', '"', 'x'.repeat(65)]) assert.match(await idOf(path, unfit), /^[0-9a-f-]{36}$/)
  }
})
