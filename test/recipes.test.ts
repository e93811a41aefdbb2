import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { temporaryFolder } from './configuration-folder.ts'
import { type Client, clients, installed, run } from './installed-clients.ts'
import { freePort } from './listener-rig.ts'
import { answerOf, countsOf, demo, recipe, recipes } from './recipe-rig.ts'

interface Program {
  client: Pick<Client, 'programs' | 'probe' | 'debian'>
  /** What it counts: the whole list, the list's name and the member. */
  counts: readonly [path: string, list: string, member: string]
}

const programs: Record<string, Program> = {
  'curl.sh': { client: clients.curl, counts: ['/tenant/v8/Jobs?limit=10000', 'results', 'lastStatus'] },
  'wget.sh': { client: clients.wget, counts: ['/gcp/api/v1/policies?$limit=1000', 'data', 'lastSessionStatus'] },
  'python-urllib.py': {
    client: clients['Python urllib'],
    counts: ['/tenant/v8/JobSessions?limit=10000', 'results', 'status'],
  },
  'python-requests.py': {
    client: clients['Python requests'],
    counts: ['/azure/api/v8.1/policies?limit=1000', 'results', 'backupStatus'],
  },
  'node-fetch.mjs': {
    client: clients['Node fetch'],
    counts: ['/azure/api/v8.1/jobSessions?limit=1000', 'results', 'status'],
  },
}

const zabbix = { programs: [['zabbix_js']], probe: ['--version'], debian: 'zabbix-proxy-sqlite3' } as const

for (const [name, { client, counts }] of Object.entries(programs)) {
  test(`the recipe ${name} counts a whole list of the demo, and fails aloud where there is no proxy`, async t => {
    const program = installed(t, client)
    if (program === undefined) return
    const folder = temporaryFolder(t)
    const { stdout } = await run(program, [folder.write(name, await recipe(name))])
    const told = stdout.matchAll(/^ *(\d+) (\w+)$/gm)
    const [path, ...what] = counts
    assert.deepEqual(
      Object.fromEntries([...told].map(([, count, status = '']) => [status, Number(count)])),
      await countsOf((await demo()) + path, ...what),
    )
    const nowhere = folder.write(name, await recipe(name, `http://127.0.0.1:${await freePort()}`))
    await assert.rejects(run(program, [nowhere]), /refused|connect to server/i)
  })
}

test("the recipe zabbix-script.js counts a whole list in Zabbix' own engine, and fails aloud", async t => {
  const program = installed(t, zabbix)
  if (program === undefined) return
  const url = await demo()
  const count = async (path: string, field: string) => {
    const parameters = JSON.stringify({ url: url + path, field })
    const { stdout } = await run(program, ['-s', `${recipes}zabbix-script.js`, '-p', parameters])
    const { total, ...counted } = JSON.parse(stdout)
    assert.equal(
      total,
      Object.values(counted).reduce((sum: number, each) => sum + Number(each), 0),
    )
    return counted
  }
  // One with absolute links, one with links of a path alone.
  assert.deepEqual(
    await count('/azure/api/v8.1/jobSessions?limit=100', 'status'),
    await countsOf(`${url}/azure/api/v8.1/jobSessions?limit=1000`, 'results', 'status'),
  )
  assert.deepEqual(
    await count('/tenant/v8/Jobs?limit=50', 'lastStatus'),
    await countsOf(`${url}/tenant/v8/Jobs?limit=10000`, 'results', 'lastStatus'),
  )
  await assert.rejects(count('/tenant/v8/Nothing', 'lastStatus'), (error: unknown) =>
    /HTTP 404 from .*ResourceNotFound/.test(inspect(error)),
  )
})

test('every address in a recipe answers at the demo', async () => {
  const url = await demo()
  let addresses = 0
  for (const name of readdirSync(recipes)) {
    const text = await recipe(name)
    for (const [address] of text.matchAll(new RegExp(`${url}/[^\\s'"\`<>]+`, 'g'))) {
      // The root of an appliance, to which a path is added elsewhere.
      if (/^[^/]*\/\/[^/]*\/\w+$/.test(address)) continue
      await answerOf(address)
      addresses += 1
    }
  }
  assert.ok(addresses >= 10)
})

test('a recipe is run here, or is read by the tests of recipes that only are read', () => {
  const read = [
    'grafana-infinity-dashboard.json',
    'grafana-infinity.yaml',
    'json-exporter-scrape.yml',
    'json-exporter.yml',
    'postman-collection.json',
    'postman-environment.json',
    'powershell.ps1',
    'telegraf.conf',
    'zabbix-template.yaml',
  ]
  assert.deepEqual(readdirSync(recipes).sort(), [...Object.keys(programs), ...read, 'zabbix-script.js'].sort())
})
