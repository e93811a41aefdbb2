import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startRelay } from './relay.ts'

/** A server behind a relay; it sends back what it gets, unless told to do otherwise. */
async function startBehindRelay(t: TestContext, serve: (socket: Socket) => void = socket => socket.pipe(socket)) {
  const sockets: Socket[] = []
  const endings: string[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.push(socket)
    socket.on('error', error => endings.push('code' in error ? String(error.code) : error.name))
    socket.on('end', () => endings.push('end'))
    serve(socket)
  }).listen(0, '127.0.0.1')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const relay = await startRelay({ host: '127.0.0.1', port: address.port })
  t.after(() => relay.close())
  return { relay, server, sockets, endings, open: () => openTo(t, relay.port) }
}

/** A connection that keeps what it gets. */
async function openTo(t: TestContext, port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  t.after(() => socket.destroy())
  const got: Buffer[] = []
  let ending: string | undefined
  socket.on('data', (bytes: Buffer) => got.push(bytes))
  socket.on('end', () => {
    ending ??= 'end'
  })
  socket.on('error', error => {
    ending ??= 'code' in error ? String(error.code) : error.name
  })
  await once(socket, 'connect')
  return {
    socket,
    bytes: () => Buffer.concat(got),
    text: () => Buffer.concat(got).toString(),
    ending: () => ending,
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + 10_000
  while (!holds()) {
    assert.ok(Date.now() < end, `not in 10 s: ${what}`)
    await sleep(5)
  }
}

/** Long enough for anything on its way to have arrived. */
const aWhile = () => sleep(150)

test('the relay passes 20 MB of bytes unchanged both ways, and the end of each side', async t => {
  const { open, endings, relay } = await startBehindRelay(t)
  const { socket, bytes, ending } = await open()
  const sent = Buffer.alloc(20_000_000)
  for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE((at * 2_654_435_761) % 4_294_967_296, at)
  socket.end(sent)
  await until('the end comes back', () => ending() === 'end')
  assert.ok(bytes().equals(sent), `${bytes().length} bytes, not those that were sent`)
  assert.deepEqual(endings, ['end'])
  await until('the connection is gone', () => relay.connections() === 0)
})

test('a side that has ended can still receive through the relay', async t => {
  const { open } = await startBehindRelay(t, socket => {
    socket.resume().on('end', () => setTimeout(() => socket.end('afterwards'), 50))
  })
  const { socket, text, ending } = await open()
  socket.end('question')
  await until('the end', () => ending() === 'end')
  assert.equal(text(), 'afterwards')
})

test('the relay takes no more from a sender than the receiver reads', async t => {
  const { open, sockets } = await startBehindRelay(t, socket => socket.pause())
  const { socket } = await open()
  const piece = Buffer.alloc(1_000_000)
  let taken = 0
  const send = () => {
    if (taken === 300) return
    socket.write(piece, () => {
      taken++
      send()
    })
  }
  send()
  let before = -1
  while (before !== taken) {
    before = taken
    await sleep(500)
  }
  assert.ok(taken < 100, `${taken} MB were taken though nobody reads`)
  let read = 0
  sockets[0]?.on('data', (bytes: Buffer) => {
    read += bytes.length
  })
  sockets[0]?.resume()
  await until('all of it arrives', () => read === 300_000_000)
})

test('cut ends every connection in order, on both sides', async t => {
  const { relay, open, endings } = await startBehindRelay(t)
  const all = [await open(), await open()]
  for (const { socket } of all) socket.write('hello')
  await until('both are answered', () => all.every(({ text }) => text() === 'hello'))
  assert.equal(relay.connections(), 2)
  relay.cut()
  await until('both end', () => all.every(({ ending }) => ending() === 'end'))
  await until('the server sees both ends', () => endings.length === 2)
  assert.deepEqual(endings, ['end', 'end'])
  for (const { socket } of all) socket.end('lost')
  await until('the relay lets go', () => relay.connections() === 0)
  assert.equal(all[0]?.text(), 'hello')
})

test('reset breaks every connection, on both sides', async t => {
  const { relay, open, endings } = await startBehindRelay(t)
  const { socket, text, ending } = await open()
  socket.write('hello')
  await until('an answer', () => text() === 'hello')
  relay.reset()
  await until('the caller sees it', () => ending() !== undefined)
  await until('the server sees it', () => endings.length > 0)
  assert.equal(ending(), 'ECONNRESET')
  assert.deepEqual(endings, ['ECONNRESET'])
  await until('the relay lets go', () => relay.connections() === 0)
})

test('what one side breaks is broken on the other side', async t => {
  const { open, sockets } = await startBehindRelay(t)
  const { socket, text, ending } = await open()
  socket.write('hello')
  await until('an answer', () => text() === 'hello')
  sockets[0]?.resetAndDestroy()
  await until('the caller sees it', () => ending() !== undefined)
  assert.equal(ending(), 'ECONNRESET')
})

test('a target that refuses breaks the connection', async t => {
  const { relay, server } = await startBehindRelay(t)
  server.close()
  const { ending } = await openTo(t, relay.port)
  await until('it is broken', () => ending() !== undefined)
  assert.equal(ending(), 'ECONNRESET')
})

test('stalled, nothing passes on old and new connections, not even an end; resumed, all of it does', async t => {
  const { relay, open } = await startBehindRelay(t)
  const old = await open()
  old.socket.write('one ')
  await until('an answer', () => old.text() === 'one ')
  relay.stall()
  const fresh = await open()
  for (const { socket } of [old, fresh]) socket.end('two')
  await aWhile()
  assert.deepEqual([old.text(), fresh.text()], ['one ', ''])
  assert.deepEqual([old.ending(), fresh.ending()], [undefined, undefined])
  relay.resume()
  await until('both end', () => old.ending() === 'end' && fresh.ending() === 'end')
  assert.deepEqual([old.text(), fresh.text()], ['one two', 'two'])
})

test('what is on its way back when the stall begins stays on its way', async t => {
  const { relay, open, sockets } = await startBehindRelay(t)
  const { text } = await open()
  await until('the server has it', () => sockets.length === 1)
  relay.stall()
  sockets[0]?.write('down')
  await aWhile()
  assert.equal(text(), '')
  relay.resume()
  await until('it arrives', () => text() === 'down')
})

test('an end alone does not pass while the connection is stalled', async t => {
  const { relay, open, endings } = await startBehindRelay(t)
  const { socket, ending } = await open()
  relay.stall()
  socket.end()
  await aWhile()
  assert.deepEqual(endings, [])
  relay.resume()
  await until('it comes back', () => ending() === 'end')
})

test('a stalled connection can be cut and reset', async t => {
  const { relay, open } = await startBehindRelay(t)
  const first = await open()
  relay.stall()
  first.socket.write('never')
  relay.cut()
  await until('it ends', () => first.ending() === 'end')
  const second = await open()
  second.socket.write('never')
  relay.reset()
  await until('it breaks', () => second.ending() === 'ECONNRESET')
  assert.equal(first.text() + second.text(), '')
})

test('refused, new connections get ECONNREFUSED and open ones go on; accepted again, the port is the same', async t => {
  const { relay, open } = await startBehindRelay(t)
  const old = await open()
  relay.refuse()
  await assert.rejects(open(), { code: 'ECONNREFUSED' })
  old.socket.write('still here')
  await until('an answer', () => old.text() === 'still here')
  relay.accept()
  const fresh = await open()
  fresh.socket.write('here again')
  await until('an answer', () => fresh.text() === 'here again')
})

test('a delay holds every piece for at least so long', async t => {
  const { relay, open } = await startBehindRelay(t)
  const { socket, text } = await open()
  relay.delay(100)
  const start = performance.now()
  socket.write('there and back')
  await until('an answer', () => text() === 'there and back')
  const took = performance.now() - start
  assert.ok(took >= 190, `it took ${took} ms`)
  relay.delay(0)
})

test('throttled, bytes pass no faster, and they all pass once it is lifted', async t => {
  const { relay, open } = await startBehindRelay(t, socket => socket.end(Buffer.alloc(10_000_000, 'x')))
  relay.throttle(100_000)
  const { bytes, ending } = await open()
  await sleep(1_000)
  const early = bytes().length
  assert.ok(early > 1_000 && early < 250_000, `${early} bytes passed in a second`)
  relay.throttle(undefined)
  await until('all of it', () => ending() === 'end')
  assert.equal(bytes().length, 10_000_000)
})

for (const direction of ['up', 'down'] as const) {
  test(`a cut at a byte on the way ${direction} lets through what is before it, once`, async t => {
    const { relay, open } = await startBehindRelay(t)
    relay.at(7, direction, 'cut')
    const first = await open()
    first.socket.write('0123')
    await until('an answer', () => first.text() === '0123')
    first.socket.write('456789')
    await until('it ends', () => first.ending() === 'end')
    // What is cut on its way up is cut on its way back as well.
    assert.ok('0123456'.startsWith(first.text()))
    if (direction === 'down') assert.equal(first.text(), '0123456')
    const second = await open()
    second.socket.end('0123456789')
    await until('it ends', () => second.ending() === 'end')
    assert.equal(second.text(), '0123456789')
  })
}

test('a cut on the way up shows the server what is before it', async t => {
  let got = ''
  const { relay, open, endings } = await startBehindRelay(t, socket => {
    socket.on('data', bytes => {
      got += bytes
    })
  })
  relay.at(7, 'up', 'cut')
  const { socket } = await open()
  socket.write('0123456789')
  await until('the server sees the end', () => endings.length > 0)
  assert.deepEqual(endings, ['end'])
  assert.equal(got, '0123456')
})

test('a reset at a byte lets through what is before it', async t => {
  const { relay, open } = await startBehindRelay(t, socket => socket.end(Buffer.alloc(200_000)))
  relay.at(100_000, 'down', 'reset')
  const { bytes, ending } = await open()
  await until('it breaks', () => ending() !== undefined)
  assert.equal(ending(), 'ECONNRESET')
  assert.equal(bytes().length, 100_000)
})

test('a stall at a byte holds that connection alone, until it is resumed', async t => {
  const { relay, open } = await startBehindRelay(t)
  relay.at(3, 'down', 'stall')
  const first = await open()
  first.socket.write('0123456789')
  await until('what is before it', () => first.text().length > 0)
  const second = await open()
  second.socket.write('free')
  await until('an answer', () => second.text() === 'free')
  await aWhile()
  assert.equal(first.text(), '012')
  relay.resume()
  await until('the rest', () => first.text() === '0123456789')
})

test('corruption flips one byte and nothing else', async t => {
  const { relay, open } = await startBehindRelay(t)
  relay.at(150_000, 'up', 'corrupt')
  relay.at(4, 'down', 'corrupt')
  const { socket, bytes, ending } = await open()
  const sent = Buffer.alloc(300_000, 'a')
  socket.end(sent)
  await until('it ends', () => ending() === 'end')
  const expected = Buffer.from(sent)
  expected[150_000] = 0xff - 'a'.charCodeAt(0)
  expected[4] = 0xff - 'a'.charCodeAt(0)
  assert.ok(bytes().equals(expected), 'other bytes than expected')
})

test('a fault waits for a connection that reaches it', async t => {
  const { relay, open } = await startBehindRelay(t)
  relay.at(5, 'up', 'reset')
  const short = await open()
  short.socket.end('01234')
  await until('it ends', () => short.ending() !== undefined)
  assert.equal(short.ending(), 'end')
  const long = await open()
  long.socket.end('012345')
  await until('it breaks', () => long.ending() !== undefined)
  assert.equal(long.ending(), 'ECONNRESET')
})

test('closing the relay leaves no connection and no port', async t => {
  const { relay, open, endings } = await startBehindRelay(t)
  const { socket, text } = await open()
  socket.write('hello')
  await until('an answer', () => text() === 'hello')
  relay.stall()
  await relay.close()
  assert.equal(relay.connections(), 0)
  await until('the server is rid of it', () => endings.length > 0)
  await assert.rejects(open(), { code: 'ECONNREFUSED' })
})
