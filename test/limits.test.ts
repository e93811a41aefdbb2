import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { get, jsonOf } from './caller.ts'
import { answerOf, openRaw, type RawScript, startRawAppliance, targetOf } from './raw-http.ts'
import { applianceAt, type Context, eventually, type Overrides, startProxy } from './rig.ts'

const plain: RawScript = { answer: (_, socket) => void socket.write(answerOf('ok')) }

async function start(t: Context, script = plain, overrides: Overrides = {}) {
  const appliance = await startRawAppliance(t, script)
  const { url } = await startProxy(t, [applianceAt(appliance, 'azure', overrides)])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  /** The statuses that these bytes are answered with. */
  const say = async (bytes: string) => {
    const caller = openRaw(t, url)
    caller.say(bytes)
    await caller.heard(1)
    return caller.statuses().join()
  }
  return { ...appliance, url, say }
}

const asked = (target: string, lines: readonly string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: localhost', ...lines, '', ''].join('\r\n')

// Nearly all of this is waiting, so the tests wait side by side.
describe('limits', { concurrency: 8 }, () => {
  test('a head of more than 16 KB is refused with 431, in one field or in many, and one below passes', async t => {
    const { say, requests } = await start(t)
    const kilobyte = 'x'.repeat(1000)
    const many = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: ${kilobyte}`)
    assert.equal(await say(asked('/box/x', [`X-A: ${'x'.repeat(15_500)}`])), '200')
    assert.equal(await say(asked('/box/x', many(15))), '200')
    assert.equal(requests.length, 2)
    for (const lines of [[`X-A: ${'x'.repeat(17_000)}`], [`${'x'.repeat(17_000)}: a`], many(17), many(1000)]) {
      assert.equal(await say(asked('/box/x', lines)), '431')
    }
    assert.equal(requests.length, 2)
  })

  test('200 fields go up, every one of them; more are refused with 431 and none is cut off in silence', async t => {
    const { say, requests, url } = await start(t)
    const fields = (count: number) => Array.from({ length: count }, (_, i) => `a${i}:`)
    assert.equal(await say(asked('/box/x', fields(199))), '200')
    assert.equal(requests[0]?.raw.filter(part => /^a\d+$/.test(part)).length, 199)
    for (const count of [200, 1000, 1999, 2000, 2100])
      assert.equal(await say(asked('/box/x', fields(count))), '431', `${count}`)
    // Where Node.js stops counting, the framing of the body must not get lost.
    const framed = [...fields(2050), 'Transfer-Encoding: chunked']
    const body = '26\r\nGET /box/second HTTP/1.1\r\nHost: localhost\r\n\r\n0\r\n\r\n'
    assert.equal(await say(`${asked('/box/x', framed)}${body}`), '431')
    assert.equal(requests.length, 1)
    assert.equal((await get(url, '/-/livez')).status, 200)
  })

  test('a path of 8 KB goes up whole, and one of more than 16 KB is refused', async t => {
    const { say, requests } = await start(t)
    const long = `/${'long/'.repeat(1500)}?${'q'.repeat(600)}`
    assert.equal(await say(asked(`/box${long}`, [])), '200')
    assert.deepEqual(requests.map(targetOf), [long])
    for (const length of [17_000, 1_000_000]) {
      for (const target of [`/box/${'x'.repeat(length)}`, `/box/x?${'x'.repeat(length)}`]) {
        assert.match(await say(asked(target, [])), /^(414|431)$/)
      }
    }
    assert.equal(requests.length, 1)
  })

  test('who takes more than ten seconds over a head, or says nothing, is let go', async t => {
    const { url, requests } = await start(t)
    const callers = ['', 'GET /box/x HT', 'GET /box/x HTTP/1.1\r\nHost: localhost\r\n'].map(beginning => {
      const caller = openRaw(t, url)
      caller.say(beginning)
      const timer = setInterval(() => beginning !== '' && caller.say('x'), 500)
      caller.socket.once('close', () => clearInterval(timer))
      return { caller, started: performance.now(), timer }
    })
    for (const { caller, started, timer } of callers) {
      await caller.closed()
      clearInterval(timer)
      const took = performance.now() - started
      assert.ok(took > 9000 && took < 14_500, `after ${took} ms: ${caller.text()}`)
      assert.match(caller.text(), /^(HTTP\/1\.1 4\d\d |$)/)
    }
    assert.equal(requests.length, 0)
  })

  test('an upload that takes longer than a head may, and longer than an answer may, arrives whole', async t => {
    const timeouts = { connect: 10_000, firstByte: 1000, idle: 1000 }
    const { url, requests } = await start(t, plain, { timeouts })
    const pieces = 24
    const piece = Buffer.alloc(4000, 'x')
    await Promise.all(
      [`Content-Length: ${pieces * piece.length}`, 'Transfer-Encoding: chunked'].map(async framing => {
        const caller = openRaw(t, url)
        caller.say(`POST /box/x HTTP/1.1\r\nHost: localhost\r\n${framing}\r\n\r\n`)
        for (let i = 0; i < pieces; i++) {
          caller.say(framing.startsWith('T') ? `fa0\r\n${piece}\r\n` : piece)
          await sleep(480)
        }
        if (framing.startsWith('T')) caller.say('0\r\n\r\n')
        await caller.heard(1)
        assert.equal(caller.statuses().join(), '200', caller.text())
      }),
    )
    assert.deepEqual(
      requests.map(({ body }) => body.length),
      [pieces * piece.length, pieces * piece.length],
    )
  })

  test('an appliance that takes an upload and never answers gives 504 in time', async t => {
    const timeouts = { connect: 10_000, firstByte: 1000, idle: 60_000 }
    const { url } = await start(t, { answer: () => undefined }, { timeouts })
    const caller = openRaw(t, url)
    caller.say('POST /box/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let i = 0; i < 4; i++) {
      caller.say('2\r\nok\r\n')
      await sleep(600)
    }
    caller.say('0\r\n\r\n')
    await caller.heard(1)
    const [answer] = caller.answers().whole
    assert.deepEqual([caller.statuses(), jsonOf(`${answer?.body}`).get('code')], [[504], 'APPLIANCE_TIMEOUT'])
  })
})
