import assert from 'node:assert/strict'
import { Agent, request } from 'node:https'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Certificate, createCertificate, simulatorRoot } from '../src/simulator/index.ts'
import { call, get } from './caller.ts'
import { entryOf, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { freePort } from './listener-rig.ts'
import { eventually, sharedCertificate, simulate } from './rig.ts'

const path = `/box${simulatorRoot.azure}/status/200`

/** `serve` with these lines at the top of its configuration, which `write` replaces. */
async function serve(t: TestContext, lines: string, files: Record<string, string> = {}) {
  const simulator = await simulate(t, { product: 'azure' })
  const folder = temporaryFolder(t)
  const { cert, key } = await sharedCertificate()
  for (const [name, text] of Object.entries({ 'proxy.pem': cert, 'proxy.key': key, ...files })) folder.write(name, text)
  const write = (top: string) =>
    folder.write('appliances.yaml', `${top}\nappliances:\n${entryOf('box', 'azure', simulator)}`)
  write(lines)
  const cli = startCli(t, ['serve'], { cwd: folder.path })
  await eventually(`it serves: ${cli.text()}`, () => cli.text().includes('listening on'))
  await eventually(`it signs in: ${cli.text()}`, () => cli.text().includes('signed in'))
  const [, url = ''] = /listening on (http[^"]+)/.exec(cli.text()) ?? []
  return { ...cli, url, write, folder, simulator, ca: cert }
}

/** A request over TLS with a client certificate, if any. */
function ask(url: string, { path, method = 'GET', agent }: { path: string; method?: string; agent: Agent }) {
  return new Promise<{ status: number; fields: Record<string, unknown>; text: string }>((resolve, reject) => {
    const outgoing = request(new URL(path, url), { method, agent }, answer => {
      let text = ''
      answer.on('data', chunk => {
        text += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, fields: answer.headers, text }))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

function agentWith(t: TestContext, ca: string, own?: Certificate): Agent {
  const agent = new Agent({ ca, keepAlive: true, ...(own === undefined ? {} : { cert: own.cert, key: own.key }) })
  t.after(() => agent.destroy())
  return agent
}

describe('callers in the configuration', { concurrency: 4 }, () => {
  test('prove themselves by the fingerprint of their certificate alone, and any other certificate is 401', async t => {
    const [collector, operator, stranger] = await Promise.all([
      createCertificate({ commonName: 'collector' }),
      createCertificate({ commonName: 'operator' }),
      // Says of itself what another one is called.
      createCertificate({ commonName: 'collector' }),
    ])
    const listen = `listen: { address: '127.0.0.1:${await freePort()}', tls: { cert: proxy.pem, key: proxy.key } }`
    const bare = collector.fingerprint.replaceAll(':', '').toLowerCase()
    const callers = (...lines: string[]) => [listen, 'audit: audit.log', 'callers:', ...lines].join('\n')
    const admin = `  - { name: operator, certificate: '${operator.fingerprint}', admin: true }`
    const reader = `  - { name: collector, certificate: '${bare}', readOnly: true }`
    const { url, ca, write, simulator } = await serve(t, callers(reader, admin))
    const known = agentWith(t, ca, collector)
    assert.equal((await ask(url, { path, agent: known })).status, 200)
    const denied = await ask(url, { path: `/box${simulatorRoot.azure}/effects?id=1`, method: 'POST', agent: known })
    assert.deepEqual([denied.status, simulator.counts.effects], [403, 0])
    assert.match(denied.text, /caller collector.*METHOD_DENIED/)
    assert.equal((await ask(url, { path: '/-/reload', method: 'POST', agent: known })).status, 403)
    const before = simulator.counts.requests
    for (const agent of [agentWith(t, ca, stranger), agentWith(t, ca)]) {
      const { status, fields, text } = await ask(url, { path, agent })
      assert.deepEqual([status, JSON.parse(text).code], [401, 'CALLER_UNKNOWN'])
      assert.match(String(fields['www-authenticate']), /Bearer/)
    }
    assert.equal(simulator.counts.requests, before)

    write(callers(admin))
    const boss = agentWith(t, ca, operator)
    assert.equal((await ask(url, { path: '/-/reload', method: 'POST', agent: boss })).status, 200)
    assert.equal((await ask(url, { path, agent: known })).status, 401, 'on a connection that it had before')
    assert.equal((await ask(url, { path, agent: boss })).status, 200)
  })

  test('whose first certificate comes with a reload want a restart, which the refusal says', async t => {
    const { fingerprint } = await sharedCertificate()
    const address = `127.0.0.1:${await freePort()}`
    const listen = `listen: { address: '${address}', tls: { cert: proxy.pem, key: proxy.key } }`
    const key = 'a-secret-of-the-operator'
    const operator = `callers:\n  - { name: operator, secret: ${key}, admin: true }`
    const { url, ca, write } = await serve(t, `${listen}\n${operator}`)
    write(`${listen}\n${operator}\n  - { name: collector, certificate: '${fingerprint}' }`)
    const agent = agentWith(t, ca)
    const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const outgoing = request(
        `${url}/-/reload`,
        { method: 'POST', agent, headers: { 'x-proxy-key': key } },
        answer => {
          answer.toArray().then(chunks => resolve({ status: answer.statusCode ?? 0, text: chunks.join('') }), reject)
        },
      )
      outgoing.on('error', reject)
      outgoing.end()
    })
    assert.equal(status, 422, text)
    assert.match(text, /whether 127\.0\.0\.1:\d+ asks callers for a certificate cannot be changed/)
  })

  test('who have a certificate alone where there is no TLS are warned of at the start', async t => {
    const { fingerprint } = await sharedCertificate()
    const { text } = await serve(
      t,
      `listen: 127.0.0.1:0\ncallers:\n  - { name: collector, certificate: '${fingerprint}' }`,
    )
    assert.match(text(), /"level":40.*caller collector has a certificate alone, which it cannot show/)
  })

  test('whose secret file is changed have the new secret at once, and the old one no more', async t => {
    const [old, next] = ['the-first-secret-of-it', 'the-second-secret-of-it']
    const lines = 'listen: 127.0.0.1:0\ncallers:\n  - { name: collector, secret: { file: caller.secret } }'
    const { url, folder, text, simulator } = await serve(t, lines, { 'caller.secret': old })
    const statusWith = async (key: string) => (await get(url, path, { 'x-proxy-key': key })).status
    assert.deepEqual([await statusWith(old), await statusWith(next)], [200, 401])
    await sleep(100)
    folder.write('caller.secret', next)
    await eventually('the change is taken up', async () => (await statusWith(next)) === 200)
    assert.deepEqual([await statusWith(old), simulator.counts.signIns], [401, 1])
    for (const secret of [old, next]) assert.ok(!text().includes(secret))

    folder.write('caller.secret', 'too short')
    await eventually('the change is refused', () => text().includes('the old one runs on'))
    assert.equal(await statusWith(next), 200)
  })

  test('whose secret comes from a program have it read anew at a reload', async t => {
    const [old, next] = ['the-first-secret-of-it', 'the-second-secret-of-it']
    const operator = '  - { name: operator, secret: the-secret-of-the-operator, admin: true }'
    const lines = `listen: 127.0.0.1:0\ncallers:\n${operator}\n  - { name: collector, secret: { command: [cat, made] } }`
    const { url, folder } = await serve(t, lines, { made: old })
    folder.write('made', next)
    const fields = { 'x-proxy-key': 'the-secret-of-the-operator' }
    assert.equal((await call(url, { method: 'POST', path: '/-/reload', fields })).status, 200)
    assert.equal((await get(url, path, { 'x-proxy-key': old })).status, 401)
    assert.equal((await get(url, path, { 'x-proxy-key': next })).status, 200)
  })
})
