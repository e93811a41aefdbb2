import assert from 'node:assert/strict'
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { Agent } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../src/cli/index.ts'
import { defaultPassword, type Simulator, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, open, type Reply, statusOf } from './caller.ts'
import { entryOf, spawnCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, simulate } from './rig.ts'

// Over 250 lines: every way in which a configuration changes under way, each with the same site to change.

const root = simulatorRoot.azure
const file = 'appliances.yaml'

/** `serve` in this process, on a configuration file that `write` replaces. */
async function site(t: TestContext, names: readonly string[]) {
  const simulators = new Map<string, Simulator>()
  for (const name of names) simulators.set(name, await simulate(t, { product: 'azure' }))
  const at = (name: string) => {
    const found = simulators.get(name)
    if (found === undefined) throw new Error(`no simulator ${name}`)
    return found
  }
  const folder = temporaryFolder(t)
  const entries = (wanted: readonly string[]) => wanted.map(name => entryOf(name, 'azure', at(name))).join('')
  const write = (text: string) => folder.write(file, text)
  const served = (wanted: readonly string[]) => write(`appliances:\n${entries(wanted)}`)
  async function start(argv: readonly string[] = ['--port', '0']) {
    const cli = startCli(t, ['serve', ...argv], { cwd: folder.path })
    await eventually(`it serves: ${cli.text()}`, () => cli.text().includes('listening on'))
    const [, url = ''] = /listening on (http:[^"]+)/.exec(cli.text()) ?? []
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    return { ...cli, url }
  }
  return { at, folder, entries, write, served, start }
}

function reload(url: string): Promise<Reply> {
  return call(url, { method: 'POST', path: '/-/reload' })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function assertChanged({ at }: Awaited<ReturnType<typeof site>>, url: string): Promise<void> {
  await eventually('new is signed in', async () => (await statusOf(url, 'new')).get('state') === 'live')
  await eventually('old is signed out', () => at('old').counts.signOuts === 1)
  for (const name of ['same', 'new']) assert.equal((await get(url, `/${name}${root}/status/200`)).status, 200)
  const gone = await get(url, `/old${root}/status/200`)
  assert.deepEqual([gone.status, gone.json.get('code')], [404, 'UNKNOWN_APPLIANCE'])
  const { tokenRequests, signOuts } = at('same').counts
  assert.deepEqual([tokenRequests, signOuts, at('new').counts.signIns], [1, 0, 1])
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('a new configuration', { concurrency: 4 }, () => {
  test('POST /-/reload keeps unchanged sessions, signs in to what is new and signs out of what is gone', async t => {
    const box = await site(t, ['same', 'old', 'new'])
    box.served(['same', 'old'])
    const { url } = await box.start()
    box.served(['same', 'new'])
    const reply = await reload(url)
    assert.deepEqual([reply.status, reply.json.get('appliances')], [200, ['same', 'new']])
    await assertChanged(box, url)
  })

  test('SIGHUP does the same', async t => {
    const box = await site(t, ['same', 'old', 'new'])
    box.served(['same', 'old'])
    const served = spawnCli(t, ['--port', '0'], { cwd: box.folder.path })
    const [, url = ''] = await served.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/)
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    box.served(['same', 'new'])
    served.child.kill('SIGHUP')
    await eventually('reloaded', async () => (await get(url, '/-/status')).text.includes('"new"'))
    await assertChanged(box, url)
    served.child.kill('SIGTERM')
    assert.equal(await served.ended, 0)
  })

  test('so does a configuration file that is changed or replaced, by itself', async t => {
    const box = await site(t, ['same', 'old', 'new'])
    box.served(['same', 'old'])
    const { url } = await box.start()
    await sleep(100)
    renameSync(
      box.folder.write('written.yaml', `appliances:\n${box.entries(['same', 'new'])}`),
      join(box.folder.path, file),
    )
    await eventually('reloaded', async () => (await get(url, '/-/status')).text.includes('"new"'))
    await assertChanged(box, url)
    box.served(['same'])
    await eventually('reloaded again', async () => !(await get(url, '/-/status')).text.includes('"new"'))
    await eventually('new is signed out', () => box.at('new').counts.signOuts === 1)
  })

  test('a change that is made while another one is taken up is not overlooked', async t => {
    const box = await site(t, ['same', 'old', 'new'])
    box.served(['same'])
    let configurations = 0
    let url = ''
    const stdout = new Writable({
      write(line: Buffer, _, done) {
        const text = line.toString()
        url ||= /listening on (http:[^"]+)/.exec(text)?.[1] ?? ''
        if (text.includes('"msg":"configuration"')) configurations += 1
        if (text.includes('"msg":"configuration"') && configurations === 2) box.served(['same', 'new'])
        done()
      },
    })
    const stopping = new AbortController()
    const { signal: stop } = stopping
    const io = { stdin: new PassThrough(), stdout, stderr: stdout, env: {}, cwd: box.folder.path, stop }
    const ended = run(['serve', '--port', '0'], io)
    t.after(async () => {
      stopping.abort()
      await ended
    })
    await eventually('it serves', () => url !== '')
    await sleep(100)
    box.served(['same', 'old'])
    await eventually('both are taken up', async () => (await get(url, '/-/status')).text.includes('"new"'), 8000)
  })

  test('a secret file that is changed lets a refused session sign in, and touches no other', async t => {
    const box = await site(t, ['same', 'other'])
    const password = box.folder.write('password', 'wrong')
    const other = box.entries(['other']).replace(JSON.stringify(defaultPassword), `{ file: ${password} }`)
    box.write(`appliances:\n${box.entries(['same'])}${other}`)
    const served = startCli(t, ['serve', '--port', '0'], { cwd: box.folder.path })
    await eventually('refused', () => served.text().includes('SIGN_IN_REFUSED'))
    const [, url = ''] = /listening on (http:[^"]+)/.exec(served.text()) ?? []
    await sleep(500)
    assert.equal(box.at('other').counts.refusedSignIns, 1)
    box.folder.write('password', defaultPassword)
    await eventually('signed in', async () => (await statusOf(url, 'other')).get('state') === 'live')
    assert.deepEqual([box.at('other').counts.refusedSignIns, box.at('other').counts.signIns], [1, 1])
    assert.equal(box.at('same').counts.tokenRequests, 1)
  })

  test('a broken configuration is refused whole with every mistake, and the old one runs on', async t => {
    const box = await site(t, ['same', 'new'])
    box.served(['same'])
    const { url, text } = await box.start()
    const broken = `appliances:\n${box.entries(['new']).replace('azure', 'azzure')}  bad:\n    product: azure\n`
    box.write(broken)
    const reply = await reload(url)
    assert.deepEqual(
      [reply.status, reply.json.get('code'), reply.json.get('source')],
      [422, 'CONFIGURATION_REFUSED', 'proxy'],
    )
    const mistakes = JSON.stringify(reply.json.get('mistakes'))
    for (const part of ['appliances.new.product', 'appliances.bad']) assert.ok(mistakes.includes(part), mistakes)
    assert.ok(text().includes('the old one runs on'))
    assert.deepEqual(reloadedNames(await get(url, '/-/status')), ['same'])
    assert.equal((await get(url, `/same${root}/status/200`)).status, 200)
    box.served(['same', 'new'])
    assert.equal((await reload(url)).status, 200)
    assert.deepEqual([box.at('same').counts.tokenRequests, box.at('new').counts.refusedSignIns], [1, 0])
  })

  test('a configuration whose port cannot be had changes nothing at all', async t => {
    const box = await site(t, ['same', 'new'])
    const [own, taken] = [await freePort(), createServer().listen(0, '127.0.0.1')]
    t.after(() => taken.close())
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    box.write(`listen: 127.0.0.1:${own}\nappliances:\n${box.entries(['same'])}`)
    const { url } = await box.start([])
    box.write(`listen: 127.0.0.1:${port}\nappliances:\n${box.entries(['new'])}`)
    const reply = await reload(url)
    assert.equal(reply.status, 422)
    assert.match(reply.text, new RegExp(`127\\.0\\.0\\.1:${port} is taken`))
    assert.deepEqual(reloadedNames(await get(url, '/-/status')), ['same'])
    assert.deepEqual([box.at('new').counts.tokenRequests, box.at('same').counts.signOuts], [0, 0])
  })

  test('a changed stateDirectory is refused, because the sessions in the old one would be lost', async t => {
    const box = await site(t, ['same'])
    box.served(['same'])
    const { url } = await box.start()
    box.write(`stateDirectory: state\nstateKey: 'long enough to be a state key'\nappliances:\n${box.entries(['same'])}`)
    const reply = await reload(url)
    assert.equal(reply.status, 422)
    assert.match(reply.text, /stateDirectory cannot be changed/)
  })

  test('a new port serves at once, and requests in flight at the old one finish', async t => {
    const box = await site(t, ['same'])
    const [from, to] = [await freePort(), await freePort()]
    box.write(`listen: 127.0.0.1:${from}\nappliances:\n${box.entries(['same'])}`)
    const { url } = await box.start([])
    const inFlight = get(url, `/same${root}/slow?ms=1500`)
    await eventually('in flight', () => box.at('same').counts.requests === 1)
    box.write(`listen: 127.0.0.1:${to}\nappliances:\n${box.entries(['same'])}`)
    assert.equal((await reload(url)).status, 200)
    assert.equal((await get(`http://127.0.0.1:${to}`, `/same${root}/status/200`)).status, 200)
    await assert.rejects(get(url, '/-/livez'), /ECONNREFUSED/)
    assert.equal((await inFlight).status, 200)
    assert.deepEqual([box.at('same').counts.tokenRequests, box.at('same').counts.aborted], [1, 0])
  })

  test('requests in flight at an old port are waited for at a shutdown, too', async t => {
    const box = await site(t, ['same'])
    const [from, to] = [await freePort(), await freePort()]
    box.write(`listen: 127.0.0.1:${from}\nshutdownTimeout: 20s\nappliances:\n${box.entries(['same'])}`)
    const { url, stop, ended } = await box.start([])
    const inFlight = get(url, `/same${root}/slow?ms=1500`)
    await eventually('in flight', () => box.at('same').counts.requests === 1)
    box.write(`listen: 127.0.0.1:${to}\nshutdownTimeout: 20s\nappliances:\n${box.entries(['same'])}`)
    assert.equal((await reload(url)).status, 200)
    stop()
    const first = await Promise.race([inFlight, ended])
    assert.notEqual(first, 0, 'it has ended before the request')
    assert.equal((await inFlight).status, 200)
    assert.equal(await ended, 0)
    assert.equal(box.at('same').counts.signOuts, 1)
  })

  test('a request in flight at an old port is not cut, however long it takes', async t => {
    const box = await site(t, ['same'])
    const [from, to] = [await freePort(), await freePort()]
    box.write(`listen: 127.0.0.1:${from}\nshutdownTimeout: 100ms\nappliances:\n${box.entries(['same'])}`)
    const { url } = await box.start([])
    const inFlight = get(url, `/same${root}/slow?ms=1000`)
    await eventually('in flight', () => box.at('same').counts.requests === 1)
    box.write(`listen: 127.0.0.1:${to}\nshutdownTimeout: 100ms\nappliances:\n${box.entries(['same'])}`)
    assert.equal((await reload(url)).status, 200)
    assert.equal((await inFlight).status, 200)
  })

  test('five hundred requests over kept connections during ten reloads all get 200, and no connection is dropped', async t => {
    const box = await site(t, ['same', 'other'])
    box.served(['same', 'other'])
    const { url } = await box.start()
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    t.after(() => agent.destroy())
    const ports = new Set<number | undefined>()
    const statuses = new Map<number, number>()
    let sent = 0
    const caller = async () => {
      while (sent < 500) {
        sent += 1
        const answer = await open(url, { path: `/same${root}/slow?ms=5`, agent })
        ports.add(answer.socket.localPort)
        statuses.set(answer.statusCode ?? 0, (statuses.get(answer.statusCode ?? 0) ?? 0) + 1)
        await answer.resume().toArray()
      }
    }
    const reloading = async () => {
      for (let i = 1; i <= 10; i += 1) {
        const changed = box.entries(['same']).trimEnd()
        box.write(`appliances:\n${changed}\n    maxInFlight: ${100 + i}\n${i % 2 ? '' : box.entries(['other'])}`)
        assert.equal((await reload(url)).status, 200)
        await sleep(20)
      }
    }
    await Promise.all([...Array.from({ length: 8 }, caller), reloading()])
    assert.deepEqual([...statuses], [[200, 500]])
    assert.equal(ports.size, 8)
    assert.deepEqual([box.at('same').counts.tokenRequests, box.at('same').counts.signOuts], [1, 0])
  })

  for (const [what, names] of [
    ['changes the limits of its appliance', ['same']],
    ['removes its appliance', ['other']],
  ] as const) {
    test(`a download in flight over a reload that ${what} comes whole`, async t => {
      const box = await site(t, ['same', 'other'])
      box.served(['same', 'other'])
      const { url } = await box.start()
      const bytes = 40_000_000
      const answer = await open(url, { path: `/same${root}/downloads/large?bytes=${bytes}` })
      box.write(`appliances:\n${box.entries(names).trimEnd()}\n    maxInFlight: 4\n    timeouts: { idle: 20s }\n`)
      assert.equal((await reload(url)).status, 200)
      await sleep(300)
      let length = 0
      for await (const chunk of answer) length += chunk.length
      assert.equal(length, bytes)
      assert.equal(box.at('same').counts.aborted, 0)
    })
  }

  test('a certificate that was renewed is taken up by a reload, without a new sign-in', async t => {
    const box = await site(t, ['same'])
    box.served(['same'])
    const { url } = await box.start()
    const { fingerprint } = box.at('same')
    await box.at('same').rotateCertificate()
    assert.notEqual(box.at('same').fingerprint, fingerprint)
    const untrusted = await get(url, `/same${root}/status/200`)
    assert.deepEqual([untrusted.status, untrusted.json.get('code')], [502, 'CERTIFICATE_UNTRUSTED'])
    box.served(['same'])
    assert.equal((await reload(url)).status, 200)
    assert.equal((await get(url, `/same${root}/status/200`)).status, 200)
    assert.equal(box.at('same').counts.tokenRequests, 1)
  })
})

function reloadedNames({ json }: Reply): unknown[] {
  const all = json.get('appliances')
  return Array.isArray(all) ? all.map(({ name }) => name) : []
}
