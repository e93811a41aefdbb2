import assert from 'node:assert/strict'
import { request } from 'node:http'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { defaultLimits } from '../src/listen/limits.ts'
import { ask, listen, listenSecurely, raw } from './listener-rig.ts'
import { eventually } from './rig.ts'

const head = 'POST /a HTTP/1.1\r\nHost: localhost\r\n'

/** Head and problem of an answer as it stands on the wire. */
function problemIn(text: string): { status: number; connection: string | undefined; code: unknown; type: string } {
  const [fields = '', body = ''] = text.split('\r\n\r\n')
  return {
    status: Number(/^HTTP\/1\.1 (\d+) /.exec(fields)?.[1]),
    connection: /^connection: (.*)$/im.exec(fields)?.[1],
    code: JSON.parse(body).code,
    type: /^content-type: (.*)$/im.exec(fields)?.[1] ?? '',
  }
}

const refused = (status: number, code: string) => ({
  status,
  connection: 'close',
  code,
  type: 'application/problem+json',
})

describe('limits of a listener', { concurrency: 8 }, () => {
  test('two hundred fields are served, all of them, and one more is refused with 431', async t => {
    const { url } = await listen(t)
    const fieldsOf = (count: number) => Array.from({ length: count }, (_, i) => `x-${i}: ${i}\r\n`).join('')
    const most = raw(t, url)
    most.socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${fieldsOf(198)}\r\n`)
    const served = await most.ended
    assert.match(served, /^HTTP\/1\.1 200 /)
    assert.match(served, /"x-197":"197"/)
    const more = raw(t, url)
    more.socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${fieldsOf(200)}\r\n`)
    assert.deepEqual(problemIn(await more.ended), refused(431, 'FIELDS_TOO_LARGE'))
  })

  test('a head above 16 KB is refused with 431', async t => {
    const { url } = await listen(t)
    const { socket, ended } = raw(t, url)
    socket.write(`${head}x-large: ${'a'.repeat(17_000)}\r\n\r\n`)
    assert.deepEqual(problemIn(await ended), refused(431, 'FIELDS_TOO_LARGE'))
    assert.equal((await ask(url, { headers: { 'x-large': 'a'.repeat(15_000) } })).status, 200)
  })

  test('path and query above 8 KB are refused with 414, however far above', async t => {
    const { url } = await listen(t)
    assert.equal((await ask(url, { path: `/${'a'.repeat(8_191)}` })).status, 200)
    const { status, fields, json } = await ask(url, { path: `/${'a'.repeat(8_192)}` })
    assert.deepEqual([status, json.code, fields.connection], [414, 'URL_TOO_LONG', 'close'])
    assert.equal(fields['content-type'], 'application/problem+json')
    const { socket, ended } = raw(t, url)
    socket.write(`GET /${'a'.repeat(30_000)}`)
    assert.deepEqual(problemIn(await ended), refused(414, 'URL_TOO_LONG'))
  })

  test('what is not HTTP is refused with 400 and a problem', async t => {
    const { url } = await listen(t)
    const { socket, ended } = raw(t, url)
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nbad name: 1\r\n\r\n')
    assert.deepEqual(problemIn(await ended), refused(400, 'BAD_REQUEST'))
  })

  test('an answer under way is broken off rather than followed by a refusal', async t => {
    const { url } = await listen(t, {
      handle(_, response) {
        response.writeHead(200, { 'content-length': 100 })
        response.write('begun')
      },
    })
    const { socket, text, ended } = raw(t, url)
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await eventually('an answer under way', () => text().endsWith('begun'))
    socket.write('nonsense\r\n\r\n')
    assert.match(await ended, /begun$/)
  })

  test('a head that does not come in time is refused with 408', async t => {
    const { url } = await listen(t, { limits: { headTimeout: 300 } })
    const { socket, ended } = raw(t, url)
    socket.write('GET / HTTP/1.1\r\nHost: loc')
    assert.deepEqual(problemIn(await ended), refused(408, 'REQUEST_STALLED'))
  })

  test('a body that stands still is refused with 408 and its connection closed', async t => {
    let broken = false
    const { url } = await listen(t, {
      limits: { bodyTimeout: 400 },
      handle: (incoming, response) => {
        incoming.resume().on('error', () => {})
        response.once('close', () => {
          broken = !response.writableFinished
        })
      },
    })
    for (const framing of ['Content-Length: 10\r\n\r\n12345', 'Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n']) {
      broken = false
      const { socket, ended } = raw(t, url)
      socket.write(head + framing)
      assert.deepEqual(problemIn(await ended), refused(408, 'REQUEST_STALLED'))
      await eventually('the handler told', () => broken)
    }
  })

  test('a body that stands still over TLS is refused with 408', async t => {
    const { listener, ca } = await listenSecurely(t, { limits: { bodyTimeout: 400 } })
    const headers = { 'content-length': 10, expect: '100-continue' }
    const { status, json } = await ask(listener.url, { method: 'POST', ca, headers })
    assert.deepEqual([status, json.code], [408, 'REQUEST_STALLED'])
  })

  test('a body that comes in small pieces may take any time', async t => {
    const { url } = await listen(t, { limits: { bodyTimeout: 1_500 } })
    const { socket, ended } = raw(t, url)
    socket.write(`${head}Connection: close\r\nContent-Length: 10\r\n\r\n`)
    for (let i = 0; i < 10; i += 1) {
      await sleep(250)
      socket.write('a')
    }
    assert.match(await ended, /^HTTP\/1\.1 200 [\s\S]*"body":"aaaaaaaaaa"/)
  })

  test('a body that nobody takes is not held against the caller', async t => {
    const { url } = await listen(t, {
      limits: { bodyTimeout: 300 },
      handle: (incoming, response) => {
        setTimeout(() => incoming.resume().on('end', () => response.end('taken')), 1_200)
      },
    })
    const length = 8 * 1024 * 1024
    const { status, body } = await ask(url, { method: 'POST', body: 'a'.repeat(length) })
    assert.deepEqual([status, body], [200, 'taken'])
  })

  test('a request whose body has come may wait for its answer as long as it takes', async t => {
    const { url } = await listen(t, {
      limits: { bodyTimeout: 200 },
      handle: (incoming, response) => {
        incoming.resume()
        setTimeout(() => response.end('late'), 1_000)
      },
    })
    assert.equal((await ask(url, { method: 'POST', body: 'whole' })).body, 'late')
  })

  test('a body that goes on after its answer does not hold its connection for ever', async t => {
    const { url } = await listen(t, {
      limits: { bodyTimeout: 400 },
      handle: (_, response) => {
        response.end('answered early')
      },
    })
    const { socket, ended } = raw(t, url)
    socket.write(`${head}Content-Length: 10\r\n\r\n123`)
    assert.match(await ended, /answered early/)
  })

  test('connections above the limit are closed, and there is room again when one has gone', async t => {
    const { url } = await listen(t, { limits: { connections: 2 } })
    const first = raw(t, url)
    const second = raw(t, url)
    for (const { socket, text } of [first, second]) {
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await eventually('an answer', () => text().startsWith('HTTP/1.1 200'))
    }
    assert.equal(await raw(t, url).ended, '')
    first.socket.destroy()
    await eventually('room', async () => (await ask(url).catch(() => ({ status: 0 }))).status === 200)
  })

  test('the limits that hold by default are those of the documentation', () => {
    assert.deepEqual(defaultLimits, {
      head: 16_384,
      fields: 200,
      url: 8_192,
      connections: 4_096,
      headTimeout: 10_000,
      bodyTimeout: 60_000,
    })
  })

  test('a request without Host reaches the handler, which answers for it', async t => {
    const { url } = await listen(t)
    const { socket, ended } = raw(t, url)
    socket.write('GET /nohost HTTP/1.1\r\nConnection: close\r\n\r\n')
    assert.match(await ended, /^HTTP\/1\.1 200 [\s\S]*nohost/)
  })

  test('Expect: 100-continue is answered at once', async t => {
    const { url } = await listen(t)
    const outgoing = request(url, { method: 'POST', agent: false, headers: { expect: '100-continue' } })
    const answered = new Promise<number | undefined>((resolve, reject) => {
      outgoing.on('continue', () => outgoing.end('body'))
      outgoing.on('response', incoming => resolve(incoming.resume().statusCode))
      outgoing.on('error', reject)
    })
    outgoing.flushHeaders()
    assert.equal(await answered, 200)
  })
})
