import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildApp } from '../src/app.ts'
import { openGuard } from '../src/config/configuration.ts'
import { Listener } from '../src/listen/listener.ts'
import { observersOf } from '../src/observers.ts'
import type { Account } from '../src/proxy/account.ts'
import { Guard } from '../src/proxy/guard.ts'
import { Placeholders } from '../src/proxy/placeholder.ts'
import { Redactor } from '../src/redactor.ts'
import { arrivals, give, startWaiting } from './cache-rig.ts'
import { type Call, call } from './caller.ts'
import { type Context, eventually, silent } from './rig.ts'

/** The accounts of all requests, in the order of their ends. */
async function start(t: Context) {
  const box = await startWaiting(t, { cache: { ttl: 10_000, staleIfError: 60_000 } })
  const accounts: Account[] = []
  const { appliances, configuration } = box.server
  const guard = await Guard.open(openGuard, ['box'], new Placeholders(() => Date.now()))
  const observers = await observersOf({
    configuration,
    version: '0',
    log: silent,
    redactor: new Redactor(),
    audit: undefined,
    appliances: () => appliances,
    listenerCertificate: () => undefined,
  })
  const app = await buildApp({
    ...observers,
    appliances,
    servedAt: () => [],
    root: () => undefined,
    guard: () => guard,
    version: '0',
    log: silent,
    closing: () => false,
    reload: async () => undefined,
    onRequest: account => accounts.push(account),
  })
  const listener = await Listener.open({ address: { host: '127.0.0.1', port: 0 } }, app)
  t.after(() => listener.close(0))
  const { url } = listener
  const told = async (count: number) => {
    await eventually(`${count} accounts`, () => accounts.length >= count)
    return accounts.splice(0)
  }
  return {
    ...box,
    ...arrivals(t, url),
    told,
    ask: (more: Partial<Call> = {}) => call(url, { path: '/box/x', ...more }),
  }
}

test('each request is accounted for by what the cache did for it, with the bytes that went down to it', async t => {
  const { answers, told, ask, come, clock, together } = await start(t)
  const first = ask()
  await come(1)
  const others = await together([ask(), ask({ fields: { 'if-none-match': '"a"' } }), ask({ method: 'HEAD' })])
  give(answers[0], '"1234"', { etag: '"a"' })
  await Promise.all([first, ...others])
  const seen = (await told(4)).map(({ cache, bytesDown, fromUpstream }) => [cache, bytesDown, fromUpstream])
  const sorted = seen.map(row => row.join(' ')).toSorted()
  assert.deepEqual(sorted, ['miss 6 true', 'shared 0 true', 'shared 0 true', 'shared 6 true'])

  await ask()
  await ask({ fields: { 'if-none-match': '"a"' } })
  const hits = (await told(2)).map(({ cache, bytesDown, firstByte, failure }) => [cache, bytesDown, firstByte, failure])
  assert.deepEqual(hits, [
    ['hit', 6, undefined, undefined],
    ['hit', 0, undefined, undefined],
  ])

  await clock.advance(10_000)
  const stale = ask()
  await come(2)
  give(answers[1], 'the appliance is not well', {}, 503)
  await stale
  const [stood] = await told(1)
  assert.deepEqual([stood?.cache, stood?.bytesDown, stood?.failure], ['stale', 6, undefined])

  const broken = ask({ path: '/box/y' })
  await come(3)
  answers[2]?.destroy()
  // Lost on a connection that had been in use, it is sent once more.
  await come(4)
  answers[3]?.destroy()
  await broken
  const [failed] = await told(1)
  assert.deepEqual([failed?.cache, failed?.failure, failed?.fromUpstream], ['miss', 'APPLIANCE_UNREACHABLE', false])

  const passing = ask({ fields: { range: 'bytes=0-1' } })
  await come(5)
  give(answers[4], '12', {}, 206)
  await passing
  const changing = ask({ method: 'POST', body: '{}' })
  await come(6)
  give(answers[5], '123')
  await changing
  const past = (await told(2)).map(({ cache, bytesUp, bytesDown }) => [cache, bytesUp, bytesDown])
  assert.deepEqual(past, [
    ['bypass', 0, 2],
    [undefined, 2, 3],
  ])

  const refused = await ask({ fields: { 'cache-control': 'only-if-cached' }, path: '/box/z' })
  assert.equal(refused.status, 504)
  assert.equal((await told(1))[0]?.failure, 'NOT_CACHED')
})

test('a token that was rejected on the way is told of the one who asked first', async t => {
  const { answers, told, ask, come } = await start(t)
  const first = ask()
  await come(1)
  give(answers[0], '{}', {}, 401)
  await come(2)
  give(answers[1], '{}')
  assert.equal((await first).status, 200)
  const [account] = await told(1)
  assert.deepEqual([account?.replayed, account?.cache], [true, 'miss'])
  assert.ok(account?.firstByte !== undefined && account.firstByte <= account.duration)
})
