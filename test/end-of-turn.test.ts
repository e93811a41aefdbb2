import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get } from './caller.ts'
import { answerOf, openRaw, startRawAppliance } from './raw-http.ts'
import { applianceAt, eventually, startProxy } from './rig.ts'

type Caller = ReturnType<typeof openRaw>

/** What a caller does in the very turn of the event loop in which the answer that it waits for becomes whole. */
const acts: Record<string, (caller: Caller) => void> = {
  'says that it has no more to say': caller => caller.socket.end(),
  'says what is no HTTP': caller => caller.say('garbage\r\n\r\n'),
  'asks for WebSocket': caller =>
    caller.say('GET /box/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
}

for (const [name, act] of Object.entries(acts)) {
  test(`a caller gets its answer that ${name} while the answer becomes whole`, async t => {
    let caller: Caller | undefined
    const appliance = await startRawAppliance(t, {
      answer(_, socket) {
        setImmediate(() => {
          socket.write(answerOf('"hello"'))
          if (caller !== undefined) act(caller)
        })
      },
    })
    const { url } = await startProxy(t, [applianceAt(appliance, 'azure')])
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    // The first one opens the connection to the appliance, which takes turns of its own.
    assert.equal((await get(url, '/box/first')).text, '"hello"')
    for (let i = 0; i < 10; i += 1) {
      caller = openRaw(t, url)
      caller.say('GET /box/a HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await caller.heard(1)
      assert.match(caller.text(), /^HTTP\/1\.1 200 OK\r\n.*"hello"$/s)
      caller.socket.destroy()
    }
  })
}
