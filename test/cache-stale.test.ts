import assert from 'node:assert/strict'
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { describe, test } from 'node:test'
import { age, type Fields, give, startCached, startWaiting, status } from './cache-rig.ts'
import { type Context, eventually } from './rig.ts'

const cache = { ttl: 10_000, staleIfError: 60_000 }

/** An appliance that is well at first, and then does what a test says. */
async function startAiling(t: Context, ailing: (response: ServerResponse) => void, fields: Fields = {}, more = cache) {
  const state = { ailing: false }
  const box = await startCached(t, {
    cache: more,
    overrides: { rewriteLinks: false, timeouts: { connect: 10_000, firstByte: 300, idle: 300_000 } },
    resource: (_, response) => (state.ailing ? ailing(response) : give(response, '"good"', fields)),
  })
  assert.equal(status(await box.ask()), 'fwd=uri-miss; stored')
  state.ailing = true
  return { ...box, state }
}

/** What the appliance does, by what is said of it. */
type Ailments = Record<string, (response: ServerResponse) => void>

// Nearly all of this is waiting, so the tests wait side by side.
describe('while the appliance is down', { concurrency: 4 }, () => {
  const broken: Ailments = {
    'fwd-status=502; detail=APPLIANCE_UNREACHABLE': (response: ServerResponse) => response.destroy(),
  }
  const mute: Ailments = { 'fwd-status=504; detail=APPLIANCE_TIMEOUT': () => undefined }
  const garbled: Ailments = {
    'fwd-status=502; detail=ANSWER_BROKEN': (response: ServerResponse) => response.socket?.end('what?\r\n\r\n'),
  }
  const ailments = { ...broken, ...mute, ...garbled }
  for (const code of [500, 502, 503, 504]) ailments[`fwd-status=${code}`] = response => give(response, 'no', {}, code)
  for (const [says, ailing] of Object.entries(ailments)) {
    test(`the last good answer stands in, and says so: ${says}`, async t => {
      const { ask, clock, count, server } = await startAiling(t, ailing, { etag: '"a"' })
      await clock.advance(15_500)
      const reply = await ask()
      assert.deepEqual([reply.status, reply.text, age(reply)], [200, '"good"', '15'])
      assert.equal(status(reply), `fwd=stale; ${says}; ttl=-6`)
      assert.equal((await ask({ 'if-none-match': '"a"' })).status, 304)
      const head = await ask({}, '/box/x', { method: 'HEAD' })
      assert.deepEqual([head.status, head.fields['content-length']], [200, '6'])
      assert.ok(count() >= 4)
      await eventually('nothing is in flight', () => server.appliances.get('box')?.admission.inFlight === 0)
    })
  }

  test('so it does without a session', async t => {
    const { ask, clock, server } = await startAiling(t, response => give(response))
    await server.appliances.get('box')?.session.signOut()
    await clock.advance(10_000)
    const reply = await ask()
    assert.deepEqual([reply.text, status(reply)], ['"good"', 'fwd=stale; fwd-status=503; detail=NOT_SIGNED_IN; ttl=0'])
    assert.equal((await ask({}, '/box/y')).status, 503)
  })

  test('so it does for as long as staleIfError says, and no longer', async t => {
    const { ask, clock } = await startAiling(t, response => give(response, 'no', {}, 503))
    await clock.advance(69_999)
    assert.equal(status(await ask()), 'fwd=stale; fwd-status=503; ttl=-60')
    await clock.advance(1)
    const reply = await ask()
    assert.deepEqual([reply.status, reply.text, status(reply)], [503, 'no', 'fwd=stale'])
  })

  test('with a ttl of 0 every request goes up, and the last good answer stands in all the same', async t => {
    const more = { ttl: 0, staleIfError: 60_000 }
    const { ask, state, count } = await startAiling(t, response => give(response, 'no', {}, 503), {}, more)
    assert.equal(status(await ask()), 'fwd=stale; fwd-status=503; ttl=0')
    state.ailing = false
    assert.equal(status(await ask()), 'fwd=stale; stored')
    assert.equal(count(), 3)
  })

  for (const code of [400, 401, 403, 404, 429, 501]) {
    test(`${code} is an answer of its own`, async t => {
      const { ask, clock } = await startAiling(t, response => give(response, 'no', {}, code))
      await clock.advance(15_000)
      assert.equal((await ask()).status, code)
    })
  }

  for (const directive of ['must-revalidate', 'proxy-revalidate', 's-maxage=5']) {
    test(`${directive}: the appliance has forbidden it`, async t => {
      const { ask, clock } = await startAiling(t, response => response.destroy(), { 'cache-control': directive })
      await clock.advance(4_000)
      assert.match(status(await ask()), /^hit/)
      await clock.advance(11_000)
      assert.equal((await ask()).status, 502)
    })
  }

  test('nothing stands in without staleIfError, not even what is fresh for others', async t => {
    const more = { ttl: 10_000, staleIfError: 0 }
    const { ask, clock } = await startAiling(t, response => response.destroy(), {}, more)
    assert.equal((await ask({ 'cache-control': 'min-fresh=60' })).status, 502)
    assert.match(status(await ask()), /^hit/)
    await clock.advance(10_000)
    assert.equal((await ask()).status, 502)
  })

  test('nothing stands in for who wants an answer of its own, or a younger or another one', async t => {
    const { ask, clock } = await startAiling(t, response => response.destroy(), { vary: 'accept-language' })
    await clock.advance(15_000)
    const rows: OutgoingHttpHeaders[] = [
      { 'cache-control': 'no-cache' },
      { 'cache-control': 'no-store' },
      { 'cache-control': 'max-age=14' },
      { pragma: 'no-cache' },
      { 'accept-language': 'de' },
    ]
    for (const fields of rows) assert.equal((await ask(fields)).status, 502, JSON.stringify(fields))
    assert.equal((await ask({ 'cache-control': 'max-age=15' })).status, 200)
    assert.equal((await ask({ 'cache-control': 'only-if-cached' })).status, 504)
  })

  test('nothing stands in after a change', async t => {
    const { ask } = await startAiling(t, response => response.destroy())
    await ask({}, '/box/y', { method: 'POST' })
    assert.equal((await ask()).status, 502)
  })

  test('it stands in for all who wait, and for each by its own wishes', async t => {
    const { answers, ask, together, come, clock, inFlight } = await startWaiting(t, { cache })
    const good = ask()
    await come(1)
    give(answers[0], '"good"')
    await good
    await clock.advance(15_000)
    const wishes = [undefined, 'max-age=14', undefined]
    const replies = await together(wishes.map(wish => ask(wish === undefined ? {} : { 'cache-control': wish })))
    await come(2)
    give(answers[1], 'no', {}, 503)
    const [first, second, third] = await Promise.all(replies)
    assert.deepEqual([first?.text, second?.text, third?.text], ['"good"', 'no', '"good"'])
    assert.deepEqual([second?.status, second && status(second)], [503, 'fwd=stale; collapsed'])
    assert.equal(inFlight(), 0)
  })

  test('an answer that breaks off in the middle is broken off for the first one, and stood in for for the others', async t => {
    const { answers, leaver, crowd, come, clock, ask } = await startWaiting(t, { cache })
    const good = ask()
    await come(1)
    give(answers[0], '"good"')
    await good
    await clock.advance(15_000)
    const first = await leaver()
    const others = await crowd(2)
    await come(2)
    answers[1]?.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
    answers[1]?.write('"')
    await first.heard()
    answers[1]?.destroy()
    for (const reply of await Promise.all(others)) assert.equal(reply.text, '"good"')
  })

  test('an error without an end is not read for ever when an older answer has taken its place', async t => {
    const { answers, ask, come, clock, cut, inFlight } = await startWaiting(t, { cache })
    const good = ask()
    await come(1)
    give(answers[0], '"good"')
    await good
    await clock.advance(15_000)
    const stale = ask()
    await come(2)
    answers[1]?.writeHead(503, { 'content-type': 'text/plain' })
    const more = setInterval(() => answers[1]?.write(Buffer.alloc(100_000)), 5)
    t.after(() => clearInterval(more))
    assert.equal((await stale).text, '"good"')
    await eventually('it is cut', () => cut() === 1 && inFlight() === 0)
  })
})
