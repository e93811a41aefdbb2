import assert from 'node:assert/strict'
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { call, get, valuesOf } from './caller.ts'
import { applianceAt, type Context, eventually, startProxy } from './rig.ts'
import { type Seen, startScripted } from './scripted-appliance.ts'

async function start(t: Context, { product = 'google-cloud', resource = plain } = {}) {
  const scripted = await startScripted(t, { resource })
  const { url } = await startProxy(t, [applianceAt(scripted, product)])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  /** What the appliance gets when a caller sends these fields. */
  const sent = async (fields: OutgoingHttpHeaders): Promise<Seen> => {
    assert.equal((await get(url, '/box/x', fields)).status, 200)
    return scripted.requests.at(-1) ?? assert.fail('nothing was forwarded')
  }
  return { ...scripted, proxyUrl: url, sent }
}

function plain(_: Seen, response: ServerResponse): void {
  response.end('{}')
}

const dropped: Record<string, string> = {
  Authorization: 'Bearer mine',
  Cookie: 'a=mine',
  'Proxy-Authorization': 'Basic mine',
  'Proxy-Connection': 'keep-alive',
  'Proxy-Anything': 'mine',
  Forwarded: 'for=mine',
  'X-Forwarded-For': 'mine',
  'X-Forwarded-Host': 'mine.example',
  'X-Forwarded-Proto': 'mine',
  'X-Forwarded-Anything': 'mine',
  TE: 'trailers',
  'Keep-Alive': 'timeout=1',
  Upgrade: 'h2c',
  'HTTP2-Settings': 'mine',
}

test("a caller's credentials, cookies, forwarding and hop-by-hop fields never go up", async t => {
  const { sent } = await start(t)
  for (const [name, value] of Object.entries(dropped)) {
    const { raw } = await sent({ [name]: value })
    const values = valuesOf(raw, name)
    assert.ok(!values.includes(value), `${name}: ${values.join()}`)
    assert.deepEqual(valuesOf(raw, 'authorization'), ['Bearer access-1-token'])
  }
})

test('the same names written with underscores never go up either', async t => {
  const { sent } = await start(t)
  for (const name of Object.keys(dropped).filter(each => each.includes('-'))) {
    for (const spelling of [
      name.replaceAll('-', '_'),
      name.replaceAll('-', '_').toLowerCase(),
      name.replace('-', '_'),
    ]) {
      const { raw } = await sent({ [spelling]: 'mine' })
      assert.deepEqual(valuesOf(raw, spelling), [], spelling)
    }
  }
  const { raw } = await sent({ Transfer_Encoding: 'chunked' })
  assert.deepEqual(valuesOf(raw, 'transfer_encoding'), [])
})

test('a length or a version of a request that is written with underscores never goes up', async t => {
  const { sent } = await start(t)
  for (const [name, value] of [
    ['Content_Length', '5'],
    ['X_Api_Version', '1.0-rev0'],
  ] as const) {
    assert.deepEqual(valuesOf((await sent({ [name]: value })).raw, name), [], name)
  }
})

test("no Connection field of a caller takes the session's own fields away", async t => {
  const { sent } = await start(t)
  for (const connection of [
    'authorization, x-api-version',
    'close, Authorization , X-Api-Version, host, via, cookie',
    'keep-alive, content-length',
  ]) {
    const { fields } = await sent({ connection })
    assert.equal(fields.authorization, 'Bearer access-1-token', connection)
    assert.equal(fields['x-api-version'], '1.4-rev0', connection)
  }
})

test('a Trailer field and the trailers behind a body never go up', async t => {
  const { proxyUrl, requests } = await start(t)
  const socket = connect(Number(new URL(proxyUrl).port), '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write('POST /box/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Mine\r\n\r\n')
  socket.write('2\r\nok\r\n0\r\nX-Mine: 1\r\n\r\n')
  await eventually('forwarded', () => requests.length === 1)
  assert.deepEqual([requests[0]?.body.toString(), valuesOf(requests[0]?.raw ?? [], 'trailer')], ['ok', []])
})

test("a field that the caller's Connection names goes no further than the proxy", async t => {
  const { sent } = await start(t)
  const { fields } = await sent({ connection: 'close, X-Mine', 'x-mine': '1', 'x-other': '2' })
  assert.deepEqual([fields['x-mine'], fields['x-other']], [undefined, '2'])
})

test("a caller's x-api-version wins over the configured one, and Expect does not go up", async t => {
  const { sent } = await start(t)
  const { raw } = await sent({ 'X-Api-Version': '1.2-rev0' })
  assert.deepEqual(valuesOf(raw, 'x-api-version'), ['1.2-rev0'])
})

test('azure and microsoft365 get no x-api-version that the caller did not send', async t => {
  for (const product of ['azure', 'microsoft365']) {
    const { sent } = await start(t, { product })
    assert.equal((await sent({})).fields['x-api-version'], undefined)
  }
})

test("everything else of a caller goes up as it is, and the host is the appliance's own", async t => {
  const { sent, url } = await start(t)
  const fields = {
    accept: 'application/json;q=0.9, */*',
    'accept-encoding': 'gzip, br',
    'accept-language': 'de',
    'user-agent': 'probe/1.0',
    'if-none-match': '"a", W/"b"',
    range: 'bytes=0-9',
    'content-type': 'text/odd; charset="x"',
    'x-latin': '\u00e9\u00ff',
    'x-empty': '',
    'x-requested-with': 'XMLHttpRequest',
  }
  const seen = await sent(fields)
  for (const [name, value] of Object.entries(fields)) assert.equal(seen.fields[name], value, name)
  assert.equal(seen.fields.host, new URL(url).host)
  const twice = await sent({ 'x-twice': ['1', '2'] })
  assert.deepEqual(valuesOf(twice.raw, 'x-twice').join(', '), '1, 2')
})

test("an answer's cookies, challenges and hop-by-hop fields never come down", async t => {
  const never = {
    'Set-Cookie': ['a=secret; path=/', 'b=secret'],
    'WWW-Authenticate': ['Bearer', 'Negotiate'],
    'Proxy-Authenticate': 'Basic',
    'Keep-Alive': 'timeout=77',
    'Proxy-Connection': 'keep-alive',
    Upgrade: 'h2c',
    Trailer: 'X-End',
    'X-Hop': '1',
  }
  const { proxyUrl } = await start(t, {
    resource(_, response) {
      for (const [name, value] of Object.entries(never)) response.setHeader(name, value)
      response.setHeader('Connection', 'X-Hop, keep-alive')
      response.setHeader('X-Kept', 'yes')
      response.end('{}')
    },
  })
  const reply = await get(proxyUrl, '/box/x')
  for (const [name, value] of Object.entries(never)) {
    for (const one of [value].flat()) assert.ok(!valuesOf(reply.raw, name).includes(one), `${name}: ${one}`)
  }
  assert.deepEqual([reply.status, reply.fields['x-kept']], [200, 'yes'])
})

test('status, reason, other fields and an encoded body come down as they are', async t => {
  const body = gzipSync('{"a":1}')
  const { proxyUrl } = await start(t, {
    resource(_, response) {
      response.writeHead(
        299,
        'Quite Odd',
        [
          ['Content-Encoding', 'gzip'],
          ['ETag', 'W/"x"'],
          ['X-Twice', '1'],
          ['X-Twice', '2'],
          ['X-Latin', '\u00e9'],
          ['Content-Length', String(body.length)],
        ].flat(),
      )
      response.end(body)
    },
  })
  const reply = await get(proxyUrl, '/box/x')
  assert.equal(reply.status, 299)
  assert.deepEqual(reply.body, body)
  assert.deepEqual(
    ['content-encoding', 'etag', 'x-twice', 'x-latin', 'content-length'].map(name => valuesOf(reply.raw, name)),
    [['gzip'], ['W/"x"'], ['1', '2'], ['\u00e9'], [String(body.length)]],
  )
})

test('204, 304 and errors of the appliance come down untouched, and none of them renews the session', async t => {
  const { proxyUrl, tokenRequests } = await start(t, {
    resource({ url }, response) {
      response.statusCode = Number(url.slice(1))
      response.end(response.statusCode < 400 ? undefined : '{"message":"of the appliance"}')
    },
  })
  for (const status of [204, 304, 400, 403, 404, 409, 429, 500, 502, 503, 504]) {
    const reply = await call(proxyUrl, { path: `/box/${status}` })
    assert.equal(reply.status, status)
    if (status >= 400) assert.equal(reply.text, '{"message":"of the appliance"}')
  }
  assert.equal(tokenRequests.length, 1)
})

test('a field with bytes outside ASCII comes down as it is, also before a body that is still to come', async t => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Name: M\xfcller, M\xc3\xbcller\r\n'
  const scripted = await startScripted(t, {
    resource: (_, { socket }) => {
      socket?.write(Buffer.from(`${head}Connection: close\r\n\r\n`, 'latin1'))
      setTimeout(() => socket?.end('{}'), 100)
    },
  })
  for (const product of ['google-cloud', 'azure']) {
    for (const cache of [undefined, { ttl: 0, maxSize: 1_048_576, paths: undefined, staleIfError: 0 }]) {
      const { url } = await startProxy(t, [applianceAt(scripted, product, { cache })])
      for (const method of ['GET', 'POST']) {
        const { fields } = await call(url, { method, path: '/box/x' })
        assert.equal(fields['x-name'], 'M\xfcller, M\xc3\xbcller', `${product} ${method} ${cache?.ttl}`)
      }
    }
  }
})

test('a sign-in asks for an answer in no coding', async t => {
  const { tokenRequests } = await start(t)
  assert.equal(tokenRequests[0]?.fields['accept-encoding'], 'identity')
})
