import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { test } from 'node:test'
import { downloadBytes, type SimulatedProduct, simulatedProducts, simulatorRoot } from '../src/simulator/index.ts'
import { get } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { type Client, clients, installed, runClient } from './installed-clients.ts'
import { applianceAt, type Context, eventually, simulate, startProxy } from './rig.ts'
import { leaksIn } from './tap.ts'

/** Bytes of each download and upload. */
const SIZE = 3 * 1024 * 1024
/** Part of every password that the clients sign in with. */
const NONSENSE = 'n0nsense'
const anyPort = { host: '127.0.0.1', port: 0 }

/** Where a client comes in: a listener of the appliance's own, without TLS or with it, or under the appliance's name. */
type Door = 'plain' | 'secure' | 'prefix'

interface Visit {
  client: keyof typeof clients
  door: Door
  token?: string
  signOut?: string
  status?: number
}

const lists: Record<SimulatedProduct, { path: string; items: number }> = {
  azure: { path: '/api/v8.1/policies?limit=9', items: 40 },
  microsoft365: { path: '/v8/BackupRepositories?limit=10', items: 34 },
  'google-cloud': { path: '/api/v1/repositories?$limit=8', items: 30 },
}

const customs: Record<SimulatedProduct, { token: string; signOut: string; status: number }> = {
  azure: { token: '/api/oauth2/token', signOut: 'DELETE /api/oauth2/token', status: 204 },
  microsoft365: { token: '/v8/token', signOut: 'POST /v8/token/logout', status: 204 },
  'google-cloud': { token: '/api/v1/token', signOut: 'DELETE /api/v1/token', status: 204 },
}

const visits: Record<SimulatedProduct, readonly Visit[]> = {
  azure: [
    { client: 'curl', door: 'plain' },
    { client: 'Python requests', door: 'secure' },
    { client: 'Java HttpClient', door: 'plain' },
    { client: 'OpenSSL s_client', door: 'secure' },
    { client: 'Python urllib', door: 'prefix' },
  ],
  microsoft365: [
    { client: 'wget', door: 'secure' },
    // It mixes versions: signs in and out at v7, reads v8.
    { client: 'PHP curl', door: 'plain', token: '/v7/Token', signOut: 'POST /v7/token/logout', status: 200 },
    { client: 'Ruby net/http', door: 'secure' },
    { client: 'Node fetch', door: 'prefix' },
    { client: 'node:http', door: 'plain' },
  ],
  'google-cloud': [
    { client: 'Python urllib', door: 'secure' },
    { client: 'node:http', door: 'plain' },
  ],
}

/** What this process, which is the proxy, sends to appliances: heads and bodies, but for long ones, which are uploads. */
function hearUpstream(t: Context): () => string {
  const heard: string[] = []
  const onHead = (message: unknown) => heard.push(String(Reflect.get(Object(message), 'headers')))
  const onChunk = (message: unknown) => {
    const chunk: unknown = Reflect.get(Object(message), 'chunk')
    if (typeof chunk === 'string' || (Buffer.isBuffer(chunk) && chunk.length < 4096)) heard.push(String(chunk))
  }
  subscribe('undici:client:sendHeaders', onHead)
  subscribe('undici:request:bodyChunkSent', onChunk)
  t.after(() => {
    unsubscribe('undici:client:sendHeaders', onHead)
    unsubscribe('undici:request:bodyChunkSent', onChunk)
  })
  return () => heard.join('\n')
}

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('tools that know nothing of the proxy work with their address changed', { concurrency: 3 }, async t => {
  const sent = hearUpstream(t)
  const folder = temporaryFolder(t)
  const entries = await Promise.all(
    simulatedProducts.map(async product => ({ product, simulator: await simulate(t, { product }) })),
  )
  const listen = [{ address: anyPort }, { address: anyPort, tls: 'auto' as const }].map(at => ({ ...at, files: [] }))
  const { server, url, lines } = await startProxy(
    t,
    entries.map(({ product, simulator }) => applianceAt(simulator, product, { name: product, listen })),
    { authorityDirectory: folder.path },
  )
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const payload = randomBytes(SIZE)
  const FILE = folder.write('upload', payload)
  const download = hashOf(Buffer.concat([...downloadBytes('clients', 0, SIZE)]))

  /** What a client is told by its environment. */
  const environmentFor = (product: SimulatedProduct, door: Door) => {
    const [prefix = '', plain = '', secure = ''] = server.servedAt(product).map(place => place.replace(/\/$/, ''))
    const root = simulatorRoot[product]
    return {
      BASE: { plain, secure: secure.replace('127.0.0.1', 'localhost'), prefix }[door],
      CA: door === 'secure' ? join(folder.path, 'local-ca.pem') : '',
      LIST: lists[product].path,
      DOWNLOAD: `${root}/downloads/large?bytes=${SIZE}&seed=clients`,
      UPLOAD: `${root}/uploads`,
      FILE,
    }
  }

  const visitAll = async (product: SimulatedProduct) => {
    // Of a tool that has signed out; the first one has what tools send that have none.
    let earlier = 'null'
    for (const { client: name, door, ...own } of visits[product]) {
      const { token: TOKEN, signOut: SIGN_OUT, status } = { ...customs[product], ...own }
      await t.test(`${name} signs in to ${product}, reads, writes, signs out, and others go on`, async t => {
        const client: Client = clients[name]
        const program = installed(t, client)
        if (program === undefined) return
        const env = { ...environmentFor(product, door), TOKEN, SIGN_OUT, EARLIER: earlier }
        const told = await runClient(program, client, env)
        const { token = '', upload, chunked, ...rest } = Object.fromEntries(told)
        assert.deepEqual(rest, {
          ...(name === 'PHP curl' ? { basic: '200' } : {}),
          earlier: '200',
          'signed-in': '200',
          items: String(lists[product].items),
          download,
          'signed-out': String(status),
        })
        assert.deepEqual(
          [...new Set([upload, chunked])].filter(hash => hash !== undefined),
          [hashOf(payload)],
        )
        assert.match(token, /^veeam-auth-proxy\.access\./)
        earlier = token
      })
    }
  }
  await Promise.all(simulatedProducts.map(visitAll))

  for (const { product, simulator } of entries) {
    await t.test(`${product} has seen one sign-in, the proxy's, and nothing of what tools signed in with`, () => {
      const { tokenRequests, signIns, refusedSignIns, signOuts, unauthorized } = simulator.counts
      assert.deepEqual([tokenRequests, signIns, refusedSignIns, signOuts, unauthorized], [1, 1, 0, 0, 0])
      assert.ok(simulator.counts.requests > 10 && simulator.counts.uploads > 1, 'it was used')
    })
  }
  await t.test('neither a nonsense password nor a placeholder goes up, or is told by the log', () => {
    assert.match(sent(), /^authorization: Bearer ey/im)
    assert.match(sent(), /Passw0rd/)
    assert.deepEqual(leaksIn(sent(), [NONSENSE]), [])
    assert.doesNotMatch(sent(), /veeam-auth-proxy\.(access|refresh)\./)
    assert.deepEqual(leaksIn(lines.join('\n'), [NONSENSE]), [])
  })
})
