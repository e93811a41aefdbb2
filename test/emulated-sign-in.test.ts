import assert from 'node:assert/strict'
import { request as secureRequest } from 'node:https'
import { describe, test } from 'node:test'
import { products } from '../src/dialects/index.ts'
import { timeLike } from '../src/proxy/sign-in-answer.ts'
import {
  defaultPassword,
  defaultUsername,
  type SimulatedProduct,
  type Simulator,
  simulatedProducts,
  simulatorRoot,
  startSimulator,
} from '../src/simulator/index.ts'
import { get, statusOf } from './caller.ts'
import { assertPlaceholders, FORM, live, messageIn, signIn, tokenPaths, unheard } from './emulated.ts'
import { openRaw } from './raw-http.ts'
import { applianceAt, eventually, startBox, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

// Over 250 lines: what tools send, and what they read of the answer, is one table and its two sides.

const JSON_TYPE = 'application/json'

/** What collectors, exporters, SDKs and modules were seen to send, and what is close to it. */
const seen: Record<SimulatedProduct, readonly (readonly [tool: string, path: string, body: string, type?: string])[]> =
  {
    azure: [
      ['a collector', '/api/oauth2/token', 'grant_type=password&username=veeam&password=p!ss&w%ord+'],
      [
        'an older one',
        '/api/oauth2/token',
        'Username=a&Password=b&refresh_token=&grant_type=Password&mfa_token=&mfa_code=',
      ],
      ['an SDK', '/api/oauth2/token', 'username=x&password=y&grant_type=Password'],
      ['an exporter', '/api/oauth2/token', 'grant_type=password&username=a&password=b&use_short_term_refresh=false'],
      ['its renewal', '/api/oauth2/token', 'grant_type=refresh_token&refresh_token=stale'],
      ['a renewal in capitals', '/api/oauth2/token', 'grant_type=Refresh_token&refresh_token='],
      ['a path in capitals', '/API/OAuth2/TOKEN', 'grant_type=password&username=a&password=b'],
      ['a slash at the end', '/api/oauth2/token/', 'grant_type=password&username=a&password=b'],
      ['slashes within', '//api//oauth2/token', 'grant_type=password&username=a&password=b'],
      ['a query', '/api/oauth2/token?v=latest', 'grant_type=password&username=a&password=b'],
      ['an encoded letter', '/api/oauth2/%74oken', 'grant_type=password&username=a&password=b'],
      ['keys in capitals', '/api/oauth2/token', 'GRANT_TYPE=PASSWORD&USERNAME=a&PASSWORD=b'],
      ['a charset', '/api/oauth2/token', 'grant_type=password&username=a&password=b', `${FORM}; charset=UTF-8`],
    ],
    microsoft365: [
      ['a collector', '/v7/token', 'grant_type=password&username=a&password=b&refresh_token=%27%27'],
      ['a console', '/v7/Token', 'grant_type=password&username=a&password=b'],
      ['another console', '/v6/Token', 'grant_type=password&username=a&password=b'],
      ['a metrics collector', '/v8/token', 'grant_type=password&username=a&password=b&disable_antiforgery_token=true'],
      ['an old one', '/v1/Token', 'grant_type=password&username=a&password=b'],
      ['one to come', '/v12/token', 'grant_type=password&username=a&password=b'],
      ['JSON', '/v8/token', '{"grant_type":"password","username":"a","password":"b"}', JSON_TYPE],
      [
        'JSON in capitals',
        '/v8/Token',
        '{"Grant_Type":"Password","UserName":"a","Password":"b","x":{"y":[1]}}',
        JSON_TYPE,
      ],
      ['JSON after a mark', '/v8/token', '\uFEFF{"grant_type":"refresh_token","refresh_token":null}', JSON_TYPE],
      ['JSON of a patch', '/v8/token', '{"grant_type":"password","longExpDate":true}', 'application/json-patch+json'],
      ['JSON called a form', '/v8/token', '{"grant_type":"password","username":"a","password":"b"}'],
      ['an empty JSON body', '/v8/token', '', JSON_TYPE],
      ['an empty form', '/v8/token', ''],
      ['a session of its own kind', '/v8/token', 'username=a&password=b'],
    ],
    'google-cloud': [
      ['a collector', '/api/v1/token', 'Username=a&Password=b&refresh_token=&grant_type=Password&mfa_token=&mfa_code='],
      ['the guide', '/api/v1/token/', 'grant_type=password&username=administrator&password=Password1'],
      ['an SDK', '/api/v1/token', 'grant_type=password&password=y&username=x'],
      ['the wrong family', '/api/oauth2/token', 'grant_type=password&username=a&password=b'],
      ['a Terraform provider', '/api/v1/token', 'grant_type=Refresh_token&refresh_token=x&mfa_token='],
    ],
  }

for (const product of simulatedProducts) {
  test(`every spelling of a sign-in that tools send to ${product} is answered 200, and nothing goes upstream`, async t => {
    const { url, simulator } = await startBox(t, { product })
    await live(url)
    for (const [tool, path, body, type = FORM] of seen[product]) {
      const reply = await unheard(simulator, () => signIn(url, { path, body, type }))
      assert.equal(reply.status, 200, `${tool}: ${reply.text}`)
      assertPlaceholders(reply)
    }
    assert.equal(simulator.counts.tokenRequests, 1)
  })

  test(`a tool that signs in at ${product} through the proxy gets the appliance's own answer, tokens apart`, async t => {
    const { url, simulator } = await startBox(t, { product, tokenLife: 600 })
    await live(url)
    const own = await directly(simulator, product)
    const from = Date.now()
    const reply = await unheard(simulator, () => signIn(url, { path: tokenPaths[product] }))
    assertPlaceholders(reply)
    assert.deepEqual([reply.status, reply.fields['content-type']], [own.status, own.type])
    assert.deepEqual([...reply.json.keys()], [...own.json.keys()])
    const ours = new Set(['access_token', 'refresh_token', 'expires_in', '.issued', '.expires'])
    for (const [name, value] of own.json) if (!ours.has(name)) assert.equal(reply.json.get(name), value, name)
    assert.equal(own.json.get('expires_in'), 600)
    assert.equal(reply.json.get('expires_in'), 3600)
    const form = (value: unknown) => String(value).replace(/\d/g, '0')
    for (const name of ['.issued', '.expires']) assert.equal(form(reply.json.get(name)), form(own.json.get(name)), name)
    const issued = instant(reply.json.get('.issued'))
    assert.ok(issued >= from - 1000 && issued <= Date.now(), 'it was issued now')
    assert.equal(instant(reply.json.get('.expires')) - issued, 3_600_000)
    assert.ok(!simulator.counts.refusedSignIns)
    assert.equal(reply.fields['cache-control'], 'no-store')
  })

  test(`the answer that stands in for the one of ${product}, while none is known, has the same members`, async t => {
    const { simulator } = await startBox(t, { product })
    const { json } = await directly(simulator, product)
    const found = products.find(({ name }) => name === product)
    assert.deepEqual(Object.keys(found?.emulation.answer ?? {}), [...json.keys()])
  })

  test(`of any other grant ${product} says 400 unsupported_grant_type in its own form, and nothing goes upstream`, async t => {
    const { url, simulator } = await startBox(t, { product })
    await live(url)
    for (const grant of [
      'operator',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'authorization_code',
      'Authorization_code',
      'mfa',
      'Mfa',
      'Saml',
      'SsoToken',
      'Updater_token',
      'client_credentials',
      'integration',
      'passwords',
      '<script>',
    ]) {
      const fields = { grant_type: grant, username: 'a', password: 'b', assertion: '{}', code: 'c', mfa_token: 'm' }
      for (const [type, body] of [
        [FORM, new URLSearchParams(fields).toString()],
        [JSON_TYPE, JSON.stringify(fields)],
      ] as const) {
        const reply = await unheard(simulator, () => signIn(url, { path: tokenPaths[product], body, type }))
        assert.equal(reply.status, 400, grant)
        assert.match(messageIn(product, reply), /only password and refresh_token/)
        assert.equal(reply.json.get('error'), 'unsupported_grant_type')
        assert.ok(!reply.text.includes('<script>') && !reply.text.includes('access_token'))
      }
    }
  })

  test(`${product} hands out no authorization code through the proxy, and says so in its own form`, async t => {
    const { url, simulator } = await startBox(t, { product })
    await live(url)
    for (const path of ['/api/v1/authorization_code', '/v8/token/AuthCode', '/api/oauth2/authorization_code/']) {
      const reply = await unheard(simulator, () => signIn(url, { path, body: '' }))
      assert.equal(reply.status, 403)
      assert.match(messageIn(product, reply), /no authorization codes/)
    }
  })

  test(`a tool that meets a refused password of ${product} prints what is wrong and what to do about it`, async t => {
    const { url, simulator } = await startBox(t, { product, password: 'another password' })
    await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
    const reply = await unheard(simulator, () => signIn(url, { path: tokenPaths[product] }))
    assert.equal(reply.status, 500)
    const message = messageIn(product, reply)
    assert.match(message, /no session at box\. .*refused the credentials: .*(incorrect|Invalid user name)/i)
    assert.match(message, /veeam-auth-proxy sign-in box\.$/)
    assert.ok(!reply.text.includes(defaultPassword))
  })

  test(`a tool that renews at ${product} gets its answer although there is no session`, async t => {
    const { url, simulator } = await startBox(t, { product, password: 'another password' })
    await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
    const body = 'grant_type=refresh_token&refresh_token=veeam-auth-proxy'
    const reply = await unheard(simulator, () => signIn(url, { path: tokenPaths[product], body }))
    assertPlaceholders(reply)
    assert.equal(reply.json.get('expires_in'), 3600)
  })
}

test('a sign-in of a tool waits for the sign-in of the proxy, and is answered by it', async t => {
  const { url, simulator } = await startBox(t, { product: 'azure', latency: 300 })
  const replies = await Promise.all([1, 2, 3].map(() => signIn(url, { path: tokenPaths.azure })))
  for (const reply of replies) assertPlaceholders(reply)
  assert.equal(simulator.counts.tokenRequests, 1)
  assert.equal((await get(url, `/box${simulatorRoot.azure}/status/200`)).status, 200)
})

test('a tool that meets an appliance waiting for a code prints how to give it', async t => {
  const { url } = await startBox(t, { product: 'azure', totpSecret: 'JBSWY3DPEHPK3PXP' })
  await eventually('waiting', async () => (await statusOf(url)).get('state') === 'waiting')
  const reply = await signIn(url, { path: tokenPaths.azure })
  assert.equal(reply.status, 500)
  assert.match(messageIn('azure', reply), /wants a code from a person.*veeam-auth-proxy code box\.$/)
  assert.ok(Number(reply.fields['retry-after']) > 0)
})

test('a tool that meets an appliance out of reach prints that, and when to come back', async t => {
  const simulator = await startSimulator({ product: 'microsoft365' })
  await simulator.close()
  const { url } = await startProxy(t, [applianceAt(simulator, 'microsoft365')])
  await eventually('tried', async () => (await statusOf(url)).get('lastError') !== null)
  const reply = await signIn(url, { path: '/v7/token' })
  assert.equal(reply.status, 500)
  assert.match(messageIn('microsoft365', reply), /cannot be reached: The connection was refused\. Check url/)
  assert.ok(Number(reply.fields['retry-after']) > 0)
})

test('a tool that meets an appliance which was signed out on purpose prints how to sign it in', async t => {
  const { url, server } = await startBox(t, { product: 'azure' })
  await live(url)
  await server.appliances.get('box')?.session.signOut()
  const reply = await signIn(url, { path: tokenPaths.azure })
  assert.equal(reply.status, 500)
  assert.match(messageIn('azure', reply), /signed out on purpose; veeam-auth-proxy sign-in box signs it in/)
  const renewed = await signIn(url, { path: tokenPaths.azure, body: 'grant_type=refresh_token' })
  assert.equal(renewed.json.get('username'), defaultUsername, 'what the appliance said before is still known')
})

test('up to v5 microsoft365 says its errors in the form of OAuth, with the message beside', async t => {
  const { url } = await startBox(t, { product: 'microsoft365' })
  await live(url)
  const { status, json } = await signIn(url, { path: '/v5/token', body: 'grant_type=operator' })
  assert.equal(status, 400)
  assert.equal(json.get('error'), 'unsupported_grant_type')
  assert.equal(json.get('error_description'), json.get('message'))
})

test('an appliance with MFA is signed in to without it: no mfa_token, and mfa_enabled is false', async t => {
  const { url, certificate } = await (async () => {
    const scripted = await startScripted(t, {
      token: () => ({
        body: {
          ...{ access_token: 'real-access-token', refresh_token: 'real-refresh-token', expires_in: 3600 },
          ...{ mfa_enabled: true, mfa_token: null, userId: 7, redirectTo: 'https://sso.example/?real', roleName: 'R' },
        },
      }),
    })
    const proxy = await startProxy(t, [applianceAt(scripted, 'azure')])
    return { ...proxy, certificate: scripted.certificate }
  })()
  assert.ok(certificate)
  await live(url)
  const reply = await signIn(url, { path: tokenPaths.azure })
  assertPlaceholders(reply)
  assert.equal(reply.json.get('mfa_enabled'), false)
  assert.deepEqual([reply.json.get('userId'), reply.json.get('roleName')], [7, 'R'])
  assert.deepEqual([reply.json.has('mfa_token'), reply.json.has('redirectTo')], [false, false])
  assert.equal(reply.json.get('token_type'), 'bearer')
  assert.ok(!reply.text.includes('real'))
})

test('what a renewal leaves unsaid is still in the answer that a tool gets', async t => {
  const scripted = await startScripted(t, {
    token: (_, nth) => ({
      body: {
        access_token: `access-${nth}`,
        refresh_token: 'r',
        expires_in: 2,
        ...(nth === 1 ? { roleName: 'R' } : {}),
      },
    }),
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  await eventually('renewed', () => scripted.tokenRequests.length > 1)
  const reply = await signIn(url, { path: tokenPaths.azure })
  assert.deepEqual([reply.json.get('roleName'), reply.json.get('expires_in')], ['R', 3600])
})

test('times are written as the appliance writes them, whatever that is', () => {
  const now = Date.UTC(2026, 1, 3, 4, 5, 6, 789)
  for (const [model, written] of [
    ['2021-03-22T20:41:31', '2026-02-03T04:05:06'],
    ['2020-12-02T11:34:03.3605646Z', '2026-02-03T04:05:06.7890000Z'],
    ['2020-12-02T11:34:03.36Z', '2026-02-03T04:05:06.78Z'],
    ['2020-12-02T11:34:03Z', '2026-02-03T04:05:06Z'],
    ['2020-12-02T11:34:03+02:00', '2026-02-03T06:05:06+02:00'],
    ['2020-12-02T11:34:03.123-0730', '2026-02-02T20:35:06.789-0730'],
    ['2020-12-02 11:34:03', '2026-02-03 04:05:06'],
    ['Wed, 02 Dec 2020 11:34:03 GMT', 'Tue, 03 Feb 2026 04:05:06 GMT'],
    ['whenever', '2026-02-03T04:05:06.789Z'],
  ] as const) {
    assert.equal(timeLike(model, now), written)
  }
})

describe('a sign-in on the wire', { concurrency: 4 }, () => {
  const body = 'grant_type=password&username=a&password=b'
  const head = (...fields: string[]) =>
    [`POST /box/api/oauth2/token HTTP/1.1`, 'Host: localhost', `Content-Type: ${FORM}`, ...fields, '', ''].join('\r\n')

  test('is told to go on where it expects that, and then answered', async t => {
    const { url } = await startBox(t, { product: 'azure' })
    await live(url)
    const raw = openRaw(t, url)
    raw.say(head('Expect: 100-continue', `Content-Length: ${body.length}`))
    await raw.heard(1)
    assert.deepEqual(raw.statuses(), [100])
    raw.say(body)
    await raw.heard(2)
    assert.deepEqual(raw.statuses(), [100, 200])
    assert.match(raw.text(), /veeam-auth-proxy\.access/)
  })

  test('may come in chunks and with pauses, and its connection serves the next one', async t => {
    const { url } = await startBox(t, { product: 'azure' })
    await live(url)
    const raw = openRaw(t, url)
    raw.say(head('Transfer-Encoding: chunked'))
    for (const part of [body.slice(0, 7), body.slice(7)]) {
      raw.say(`${part.length.toString(16)}\r\n${part}\r\n`)
      await new Promise(resolve => setTimeout(resolve, 30))
    }
    raw.say('0\r\n\r\n')
    await raw.heard(1)
    raw.say(head(`Content-Length: ${body.length}`) + body)
    await raw.heard(2)
    assert.deepEqual(raw.statuses(), [200, 200])
  })

  test('may be of HTTP/1.0, or say that its connection ends', async t => {
    const { url } = await startBox(t, { product: 'azure' })
    await live(url)
    const old = openRaw(t, url)
    old.say(head(`Content-Length: ${body.length}`).replace('HTTP/1.1', 'HTTP/1.0') + body)
    await old.closed()
    assert.match(old.text(), /^HTTP\/1\.1 200 .*veeam-auth-proxy\.access/s)
    const last = openRaw(t, url)
    last.say(head('Connection: close', `Content-Length: ${body.length}`) + body)
    await last.closed()
    assert.deepEqual(last.statuses(), [200])
  })

  test('of more than 64 KiB is refused in the form of the product, announced or not', async t => {
    const { url, simulator } = await startBox(t, { product: 'azure' })
    await live(url)
    const most = `${body}&x=`.padEnd(65_536, 'x')
    assertPlaceholders(await signIn(url, { path: tokenPaths.azure, body: most }))
    const announced = await unheard(simulator, () => signIn(url, { path: tokenPaths.azure, body: `${most}x` }))
    assert.equal(announced.status, 413)
    assert.match(messageIn('azure', announced), /65536 bytes at most/)
    const raw = openRaw(t, url)
    raw.say(`${head('Transfer-Encoding: chunked')}10001\r\n${most}x\r\n`)
    await raw.heard(1)
    assert.deepEqual(raw.statuses(), [413])
    await raw.closed()
  })

  test('that breaks off leaves nothing behind', async t => {
    const { url, lines } = await startBox(t, { product: 'azure' })
    await live(url)
    const raw = openRaw(t, url)
    raw.say(head('Content-Length: 100') + body)
    await new Promise(resolve => setTimeout(resolve, 50))
    raw.socket.destroy()
    await new Promise(resolve => setTimeout(resolve, 50))
    assertPlaceholders(await signIn(url, { path: tokenPaths.azure }))
    assert.ok(!lines.some(line => line.includes('the proxy failed')))
  })

  test('is no sign-in with a password where it cannot be seen which grant it names', async t => {
    const { url, simulator } = await startBox(t, { product: 'microsoft365' })
    await live(url)
    const part = (name: string, value: string) =>
      `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
    for (const [type, bad, error] of [
      ['multipart/form-data; boundary=x', `${part('grant_type', 'operator')}${part('username', 'a')}--x--\r\n`],
      ['application/xml', '<r><grant_type>operator</grant_type><username>a</username></r>'],
      ['text/plain', 'grant_type: operator'],
      [FORM, 'assertion=signed&scope=all'],
      [FORM, 'grant_type=&assertion=signed'],
      [JSON_TYPE, '{"assertion":"signed"}'],
      [JSON_TYPE, '{"grant_type":null,"code":"c"}'],
      [JSON_TYPE, '{"grant_type":["operator"],"username":"a"}', 'unsupported_grant_type'],
      [JSON_TYPE, '{"grant_type":{"a":"operator"},"username":"a"}', 'unsupported_grant_type'],
    ] as const) {
      const reply = await unheard(simulator, () => signIn(url, { path: '/v8/token', body: bad, type }))
      assert.deepEqual([reply.status, reply.json.get('error')], [400, error ?? 'invalid_request'], bad)
      assert.match(messageIn('microsoft365', reply), /grant/)
      assert.ok(!reply.text.includes('access_token'))
    }
  })

  test('with a body that cannot be read is a 400 in the form of the product', async t => {
    const { url } = await startBox(t, { product: 'azure' })
    await live(url)
    for (const [type, bad] of [
      [JSON_TYPE, '{"grant_type":"password"'],
      [JSON_TYPE, '["password"]'],
      [JSON_TYPE, 'null'],
      [FORM, 'grant_type=password&Grant_Type=operator&username=a'],
      [JSON_TYPE, '{"username":"a","Username":"b"}'],
    ] as const) {
      const reply = await signIn(url, { path: tokenPaths.azure, body: bad, type })
      assert.equal(reply.status, 400, bad)
      messageIn('azure', reply)
      assert.equal(reply.json.get('error'), 'invalid_request')
    }
  })
})

test('a page of another site can sign in nowhere', async t => {
  const { url, simulator } = await startBox(t, { product: 'azure' })
  await live(url)
  for (const fields of [
    { origin: 'https://evil.example' },
    { 'sec-fetch-site': 'cross-site' },
    { host: 'evil.example' },
  ]) {
    const reply = await unheard(simulator, () => signIn(url, { path: tokenPaths.azure, fields }))
    assert.ok([403, 421].includes(reply.status), String(reply.status))
    assert.ok(!reply.text.includes('access_token'))
  }
})

/** A sign-in at the appliance itself. */
function directly(simulator: Simulator, product: SimulatedProduct) {
  const body = new URLSearchParams({ grant_type: 'password', username: defaultUsername, password: defaultPassword })
  const headers = { 'content-type': FORM, 'x-api-version': '1.4-rev0' }
  const url = simulator.url + tokenPaths[product]
  return new Promise<{ status: number; type: string | undefined; json: Map<string, unknown> }>((resolve, reject) => {
    const request = secureRequest(url, { method: 'POST', headers, ca: simulator.certificate, agent: false }, answer => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const json = new Map<string, unknown>(Object.entries(JSON.parse(Buffer.concat(chunks).toString())))
        resolve({ status: answer.statusCode ?? 0, type: answer.headers['content-type'], json })
      })
    })
    request.once('error', reject)
    request.end(body.toString())
  })
}

/** Milliseconds; a time without a zone is universal time. */
function instant(text: unknown): number {
  return Date.parse(/Z$/.test(String(text)) ? String(text) : `${text}Z`)
}
