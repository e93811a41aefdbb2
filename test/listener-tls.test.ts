import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { connect, TLSSocket } from 'node:tls'
import { ListenError } from '../src/listen/address.ts'
import type { RequestHandler } from '../src/listen/listener.ts'
import { createCertificate } from '../src/simulator/index.ts'
import { ask, listen, listenSecurely, raw } from './listener-rig.ts'
import { sharedCertificate } from './rig.ts'

/** Tells which certificate the caller showed, as the rules for callers ask for it. */
const whoCalls: RequestHandler = ({ socket }, response) => {
  const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.fingerprint256 : undefined
  response.end(shown ?? 'nobody')
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}

describe('a listener with TLS', { concurrency: 6 }, () => {
  test('serves HTTPS with the certificate and key it was given, and says so in its url', async t => {
    const { listener, ca } = await listenSecurely(t, { tag: 'azure' })
    assert.match(listener.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    const { status, json } = await ask(listener.url, { ca, path: '/a?b=%2B', method: 'POST', body: 'x' })
    assert.deepEqual([status, json.url, json.tag, json.body], [200, '/a?b=%2B', 'azure', 'x'])
  })

  test('refuses TLS 1.1 and takes TLS 1.2 and 1.3', async t => {
    const { listener, ca } = await listenSecurely(t)
    const port = portOf(listener.url)
    const versions = ['TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
    const protocols = await Promise.all(
      versions.map(async version => {
        const ciphers = 'DEFAULT@SECLEVEL=0'
        const socket = connect({ port, host: '127.0.0.1', ca, minVersion: version, maxVersion: version, ciphers })
        t.after(() => socket.destroy())
        return once(socket, 'secureConnect').then(
          () => socket.getProtocol(),
          () => 'refused',
        )
      }),
    )
    assert.deepEqual(protocols, ['refused', 'TLSv1.2', 'TLSv1.3'])
  })

  test('speaks HTTP/1.1 and nothing else', async t => {
    const { listener, ca } = await listenSecurely(t)
    const protocolFor = async (ALPNProtocols: string[]) => {
      const socket = connect({ port: portOf(listener.url), host: '127.0.0.1', ca, ALPNProtocols })
      t.after(() => socket.destroy())
      await once(socket, 'secureConnect')
      return socket.alpnProtocol
    }
    assert.equal(await protocolFor(['h2', 'http/1.1']), 'http/1.1')
    await assert.rejects(protocolFor(['h2']), /no application protocol/i)
  })

  test('takes any certificate of a caller whose key it holds, and shows it to the handler', async t => {
    const own = await createCertificate({ commonName: 'collector' })
    const { listener, ca } = await listenSecurely(t, { handle: whoCalls, askForCertificate: true })
    assert.equal((await ask(listener.url, { ca, cert: own.cert, key: own.key })).body, own.fingerprint)
    assert.equal((await ask(listener.url, { ca })).body, 'nobody')
  })

  test('does not ask callers for a certificate unless told', async t => {
    const own = await createCertificate({ commonName: 'collector' })
    const { listener, ca } = await listenSecurely(t, { handle: whoCalls })
    assert.equal((await ask(listener.url, { ca, cert: own.cert, key: own.key })).body, 'nobody')
  })

  test('knows the certificate of a caller that resumes its TLS session', async t => {
    const own = await createCertificate({ commonName: 'collector' })
    const { listener, ca } = await listenSecurely(t, { handle: whoCalls, askForCertificate: true })
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      let session: Buffer | undefined
      const answers: string[] = []
      for (let i = 0; i < 2; i += 1) {
        const { cert, key } = own
        const resumed = session === undefined ? {} : { session }
        const options = { port: portOf(listener.url), host: '127.0.0.1', ca, cert, key, maxVersion: version }
        const socket = connect({ ...options, ...resumed })
        t.after(() => socket.destroy())
        socket.on('session', ticket => {
          session = ticket
        })
        let text = ''
        socket.on('data', chunk => {
          text += chunk
        })
        await once(socket, 'secureConnect')
        assert.equal(socket.isSessionReused(), i === 1)
        socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        await once(socket, 'close')
        answers.push(text.split('\r\n\r\n')[1] ?? '')
      }
      assert.deepEqual(
        answers.map(answer => answer.includes(own.fingerprint)),
        [true, true],
        version,
      )
    }
  })

  test('shows another certificate from the next connection on, and no request is lost', async t => {
    const next = await createCertificate()
    let answer: (() => void) | undefined
    const { listener, ca } = await listenSecurely(t, {
      handle: (incoming, response) => {
        if (incoming.url === '/') return response.end('at once')
        answer = () => response.end('after the swap')
      },
    })
    const inFlight = ask(listener.url, { ca, path: '/slow' })
    while (answer === undefined) await ask(listener.url, { ca })
    listener.swapCertificate(next)
    await assert.rejects(ask(listener.url, { ca }), /self-signed|verify/i)
    assert.equal((await ask(listener.url, { ca: next.cert })).body, 'at once')
    answer()
    assert.equal((await inFlight).body, 'after the swap')
  })

  test('keeps its certificate when the next one does not fit its key', async t => {
    const next = await createCertificate()
    const { listener, ca } = await listenSecurely(t)
    const { key } = await sharedCertificate()
    assert.throws(() => listener.swapCertificate({ cert: next.cert, key }), /key values mismatch/)
    assert.equal((await ask(listener.url, { ca })).status, 200)
  })

  test('is not opened with a certificate and key that do not belong together', async () => {
    const [{ cert }, { key }] = await Promise.all([sharedCertificate(), createCertificate()])
    const address = { host: '127.0.0.1', port: 0 }
    await assert.rejects(listen({ after() {} }, { tls: { cert, key }, address }), (error: Error) => {
      assert.ok(error instanceof ListenError)
      assert.match(error.message, /^127\.0\.0\.1:0 cannot be listened on with this certificate and key: /)
      return true
    })
  })

  test('ends a connection that does not finish its handshake in time', async t => {
    const { listener } = await listenSecurely(t, { limits: { headTimeout: 300 } })
    const began = performance.now()
    const { socket, ended } = raw(t, listener.url)
    socket.write('\x16\x03\x01')
    await ended
    assert.ok(performance.now() - began < 10_000)
  })

  test('what speaks no TLS gets no answer, and others are served on', async t => {
    const { listener, ca } = await listenSecurely(t)
    const { socket, ended } = raw(t, listener.url)
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.doesNotMatch(await ended, /HTTP/)
    assert.equal((await ask(listener.url, { ca })).status, 200)
  })
})
