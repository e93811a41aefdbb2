import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { describe, test } from 'node:test'
import { cacheFor10s, counted, give, startCached, startWaiting, status } from './cache-rig.ts'
import { get } from './caller.ts'
import { applianceAt, eventually, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

const MISS = 'fwd=uri-miss; stored'
const HIT = 'hit; ttl=10'

const SAFE = ['OPTIONS', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY']
const unsafe = METHODS.filter(method => !['GET', 'HEAD', 'TRACE', 'CONNECT', ...SAFE].includes(method))

test('every method that may change something empties the cache, whatever its path; every other one leaves it', async t => {
  const { ask } = await startCached(t)
  await ask()
  for (const method of SAFE.filter(known => METHODS.includes(known))) {
    const reply = await ask({ 'content-type': 'application/json' }, '/box/x', { method, body: '{}' })
    assert.equal(status(reply), 'fwd=method', `${method} ${reply.status} ${reply.text}`)
    assert.equal(status(await ask()), HIT, method)
  }
  for (const method of unsafe) {
    assert.equal(status(await ask({}, '/box/y', { method, body: '{}' })), 'fwd=method', method)
    assert.equal(status(await ask()), MISS, method)
    assert.equal(status(await ask()), HIT, method)
  }
  assert.ok(unsafe.includes('POST') && unsafe.includes('DELETE') && unsafe.length > 10)
})

test('a change at one appliance empties no cache of another', async t => {
  const [one, other] = await Promise.all([
    startScripted(t, { resource: counted() }),
    startScripted(t, { resource: counted() }),
  ])
  const cache = cacheFor10s
  const { url } = await startProxy(t, [
    applianceAt(one, 'azure', { name: 'one', cache }),
    applianceAt(other, 'azure', { name: 'other', cache }),
  ])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  for (const name of ['one', 'other']) await get(url, `/${name}/x`)
  await fetch(`${url}/one/x`, { method: 'POST' })
  assert.match(status(await get(url, '/other/x')), /^hit/)
  assert.equal(status(await get(url, '/one/x')), MISS)
})

test('a change that the rules do not let through empties nothing', async t => {
  const { ask } = await startCached(t, { overrides: { access: { rule: { readOnly: true }, credentials: false } } })
  await ask()
  assert.equal((await ask({}, '/box/x', { method: 'POST' })).status, 403)
  assert.equal(status(await ask()), HIT)
})

// Nearly all of this is waiting, so the tests wait side by side.
describe('a change under way', { concurrency: 4 }, () => {
  const cache = { ttl: 10_000 }

  test('empties the cache when it is sent, and again before its caller hears of it', async t => {
    const { answers, together, come, ask, url } = await startWaiting(t, { cache })
    const first = ask()
    await come(1)
    give(answers[0])
    await first
    const changing = fetch(`${url}/box/x`, { method: 'POST', body: '{}' })
    await come(2)
    const [meanwhile] = await together([ask()])
    await come(3)
    give(answers[2], '"meanwhile"')
    assert.equal((await meanwhile)?.text, '"meanwhile"')
    assert.match(status(await ask()), /^hit/)
    // Its head alone tells the caller that it has happened.
    answers[1]?.writeHead(200, { 'content-type': 'application/json' })
    answers[1]?.flushHeaders()
    assert.equal((await changing).status, 200)
    const after = ask()
    await come(4)
    give(answers[3], '"after"')
    assert.equal((await after).text, '"after"')
    answers[1]?.end('{}')
  })

  test('that takes long to tell its end empties the cache at its end as well', async t => {
    const { answers, come, ask, url } = await startWaiting(t, { cache })
    const changing = await Promise.all([
      fetch(`${url}/box/x`, { method: 'POST' }),
      come(1).then(() => {
        answers[0]?.writeHead(200, { 'content-type': 'application/json' })
        answers[0]?.flushHeaders()
      }),
    ])
    const meanwhile = ask()
    await come(2)
    give(answers[1])
    await meanwhile
    assert.match(status(await ask()), /^hit/)
    answers[0]?.end('{}')
    await changing[0].text()
    const after = ask()
    await come(3)
    give(answers[2])
    assert.equal(status(await after), MISS)
  })

  test('that fails has perhaps happened all the same, and empties the cache', async t => {
    const { answers, come, ask } = await startWaiting(t, { cache })
    const changing = ask({}, '/box/x', { method: 'POST' })
    await come(1)
    const meanwhile = ask()
    await come(2)
    give(answers[1])
    await meanwhile
    answers[0]?.destroy()
    const failed = await changing
    assert.deepEqual([failed.status, status(failed)], [502, 'fwd=method'])
    const after = ask()
    await come(3)
    give(answers[2])
    assert.equal(status(await after), MISS)
  })

  test('keeps what was asked before it from being kept, and from those who ask after it', async t => {
    const { answers, together, come, ask, url } = await startWaiting(t, { cache })
    const before = await together([ask(), ask()])
    await come(1)
    const changing = fetch(`${url}/box/x`, { method: 'POST' })
    await come(2)
    give(answers[1])
    assert.equal((await changing).status, 200)
    const [after] = await together([ask()])
    await come(3)
    give(answers[0], '"before"')
    const seen = (await Promise.all(before)).map(reply => `${reply.text} ${status(reply)}`)
    assert.deepEqual(seen.toSorted(), ['"before" fwd=uri-miss', '"before" fwd=uri-miss; collapsed'])
    give(answers[2], '"after"')
    assert.deepEqual([(await after)?.text, (await ask()).text], ['"after"', '"after"'])
  })
})

describe('a new configuration', { concurrency: 4 }, () => {
  const changes = {
    'that is the same': cacheFor10s,
    'with another ttl': { ...cacheFor10s, ttl: 9_000 },
    'without a cache': undefined,
  }
  for (const [what, cache] of Object.entries(changes)) {
    test(`${what} drops what was kept`, async t => {
      const before = await startCached(t)
      const [appliance] = before.server.configuration.appliances
      assert.ok(appliance)
      const next = { ...before.server.configuration, appliances: [{ ...appliance, cache }] }
      const { url, server } = await startProxy(t, [appliance], { load: async () => next })
      await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
      assert.deepEqual(
        [status(await get(url, '/box/x')), status(await get(url, '/box/x'))],
        [MISS, HIT].map(says => says.replace('10', '9')),
      )
      await server.reload()
      const replies = [status(await get(url, '/box/x')), status(await get(url, '/box/x'))]
      if (cache === undefined) assert.deepEqual(replies, ['', ''])
      else assert.match(replies.join(), /^fwd=uri-miss; stored,hit; ttl=\d+$/)
    })
  }

  test('does not let a change that began before it go unnoticed', async t => {
    const before = await startWaiting(t, { cache: { ttl: 10_000 } })
    const { answers, come } = before
    const [appliance] = before.server.configuration.appliances
    assert.ok(appliance)
    const { url, server } = await startProxy(t, [appliance])
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    const changing = fetch(`${url}/box/x`, { method: 'POST' })
    await come(1)
    await server.reload()
    const meanwhile = get(url, '/box/x')
    await come(2)
    give(answers[1])
    await meanwhile
    assert.match(status(await get(url, '/box/x')), /^hit/)
    give(answers[0])
    await changing
    const after = get(url, '/box/x')
    await come(3)
    give(answers[2])
    assert.equal(status(await after), MISS)
  })
})
