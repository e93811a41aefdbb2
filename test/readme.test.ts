import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { filled } from '../docs/generated.ts'
import { defaultPassword, defaultUsername } from '../src/simulator/index.ts'
import { jsonOf } from './caller.ts'
import { runCli, startCli } from './cli-rig.ts'
import { checkLine } from './command-lines.ts'
import { loadBlock } from './configuration-blocks.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { freePort } from './listener-rig.ts'
import { anchorsIn, type Block, blocksIn, linksIn, papers, repository, spansIn } from './papers.ts'
import { eventually, simulate } from './rig.ts'

const blocks = papers.flatMap(blocksIn)
const readme = papers.find(({ file }) => file === 'README.md')?.text ?? ''

type Check = (t: TestContext, block: Block) => Promise<void>

/** How a block of each kind is checked. */
const checks: Readonly<Record<string, { what: string; check: Check }>> = {
  sh: { what: 'calls nothing that there is not', check: checkLines },
  'sh demo': { what: 'works when pasted beside the demo', check: runAgainstDemo },
  'console demo': { what: 'is what the demo prints', check: comparePrinted },
  yaml: { what: 'is a configuration that can be loaded', check: (t, { text }) => loadBlock(t, text) },
  'yaml tool': { what: 'is a configuration that can be loaded', check: (t, { text }) => loadBlock(t, text) },
  'sh tool': { what: 'works with the configuration before it', check: runAgainstListener },
  'yaml sidecar': { what: 'gives its neighbour what it asks for', check: runSidecar },
  'yaml prometheus': { what: 'is scraped as it says', check: scrape },
  'json problem': { what: 'is what the proxy answers', check: compareProblem },
  'text rooms': { what: 'names parts that there are', check: checkRooms },
}

for (const block of blocks) {
  const { file, line, kind, text } = block
  const known = Object.hasOwn(checks, kind) ? checks[kind] : undefined
  const [, other] = /(test\/[\w-]+\.test\.ts)$/.exec(kind) ?? []
  const what = known?.what ?? (other === undefined ? 'is checked by something' : `is checked in ${other}`)
  test(`the block at ${file}:${line} ${what}`, async t => {
    if (known !== undefined) return known.check(t, block)
    const advice = `nothing checks "${kind}": use one of ${Object.keys(checks).join(', ')}, or name a test that reads ${file}`
    assert.ok(other !== undefined, `${advice}\n${text}`)
    assert.ok(readFileSync(join(repository, other), 'utf8').includes(file), `${other} does not read ${file}`)
  })
}

test('README has the tables of the product as they are now, with a meaning in every line', async () => {
  assert.equal(readme, await filled(readme), 'run: npm run docs')
  const tables = [...readme.matchAll(/<!-- (\w+): begin.*?-->\n(.*?)<!-- \1: end -->/gs)]
  assert.ok(tables.length > 3)
  for (const [, name, table = ''] of tables) {
    assert.doesNotMatch(table, /\bundefined\b|\[object/)
    const meanings = [...table.matchAll(/^\| [^-].*$/gm)].map(
      ([row]) => row.split(' | ')[name === 'configuration' ? 3 : 1],
    )
    for (const meaning of meanings) assert.match(meaning ?? '', /\w/, `${name}: ${table}`)
  }
})

for (const paper of papers) {
  const { file } = paper
  test(`every command and file that ${file} names is there`, async () => {
    for (const span of spansIn(paper)) {
      if (/^(?:veeam-auth-proxy|npm|npx) [^:]/.test(span)) await checkLine(span)
      const isRoom = /^[a-z]+\/$/.test(span) && span !== 'dist/'
      if (!isRoom && !/^(?:config|src|test|docs|\.ci)\/[^…A-Z]*$/.test(span)) continue
      const places = [span, ...(isRoom ? [`src/${span}`] : [])].map(place => join(repository, place))
      assert.ok(
        places.some(place => existsSync(place)),
        `${span} is missing`,
      )
    }
  })

  test(`every link in ${file} leads somewhere`, () => {
    for (const target of linksIn(paper)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const place = path === '' ? file : join(dirname(file), path)
      assert.ok(existsSync(join(repository, place)), `${target} is missing`)
      const linked = papers.find(each => each.file === place)
      if (anchor !== undefined) assert.ok(linked && anchorsIn(linked).includes(anchor), `${target} is no heading`)
    }
  })
}

test('README says what the product is before anything else, in five lines', () => {
  const [, first = ''] = /^# [^\n]+\n\n(.*?)\n\n/s.exec(readme) ?? []
  assert.ok(first.split('\n').length <= 5 && /\bno gateway\b/.test(first), first)
  assert.match(readme, /!\[[^\]]+\]\(docs\/status-page\.png\)/)
})

const endings: (() => unknown)[] = []
after(async () => {
  for (const ending of endings) await ending()
})

let started: Promise<{ port: string; printed: () => string }> | undefined

/** One demo for all blocks. */
function demo(): Promise<{ port: string; printed: () => string }> {
  started ??= startDemo()
  return started
}

async function startDemo(): Promise<{ port: string; printed: () => string }> {
  const running = startCli({ after: ending => endings.push(ending) }, ['demo', '--port', '0'])
  await eventually('the demo runs', () => /Ctrl-C ends the demo/.test(running.text()), 30_000)
  const [, port = ''] = /http:\/\/127\.0\.0\.1:(\d+)/.exec(running.text()) ?? []
  return { port, printed: running.text }
}

/** Runs a line as a person would paste it; a status of 400 and more is a failure. */
async function shell(line: string, port: string | number): Promise<Map<string, unknown>> {
  const script = `curl() { command curl -fsS "$@"; }\n${line.replaceAll(/:(?:8080|9365)\b/g, `:${port}`)}`
  const { stdout } = await promisify(execFile)('sh', ['-c', script])
  const json = jsonOf(stdout)
  assert.ok(json.size > 0, `${line}: ${stdout}`)
  return json
}

const linesOf = ({ text }: Block) => text.split('\n').filter(line => line !== '')

async function checkLines(_: TestContext, block: Block): Promise<void> {
  for (const line of linesOf(block)) await checkLine(line)
}

async function runAgainstDemo(_: TestContext, block: Block): Promise<void> {
  const { port } = await demo()
  for (const line of linesOf(block)) await shell(line, port)
}

async function comparePrinted(_: TestContext, { text }: Block): Promise<void> {
  const { port, printed } = await demo()
  assert.equal(printed().replaceAll(`:${port}`, ':8080').slice(0, text.length), text)
}

async function compareProblem(_: TestContext, { text }: Block): Promise<void> {
  const { port } = await demo()
  assert.deepEqual(await (await fetch(`http://127.0.0.1:${port}/nowhere/`)).json(), JSON.parse(text))
}

async function scrape(_: TestContext, { text }: Block): Promise<void> {
  const { port } = await demo()
  const [job] = parse(text).scrape_configs
  assert.deepEqual(job.static_configs, [{ targets: ['127.0.0.1:8080'] }])
  const answer = await fetch(`http://127.0.0.1:${port}${job.metrics_path}`)
  assert.match(await answer.text(), /^veeam_auth_proxy_build_info/m)
}

/** The proxy with the configuration of the block before, at a simulator; and then what the tool does. */
async function runAgainstListener(t: TestContext, block: Block): Promise<void> {
  const configuration = blocks[blocks.indexOf(block) - 1]
  assert.equal(configuration?.kind, 'yaml tool')
  const entry = /^ {4}url: .*$/m
  assert.match(configuration.text, /username: report\b.*TENANT_PASSWORD/)
  const simulator = await simulate(t, { product: 'microsoft365', username: 'report' })
  const port = await freePort()
  const text = configuration.text
    .replace(entry, `    url: ${simulator.url}\n    tls: { fingerprint: '${simulator.fingerprint}' }`)
    .replace('listen: 9365', `listen: ${port}`)
  const config = temporaryFolder(t).write('appliances.yaml', text)
  const env = { TENANT_PASSWORD: defaultPassword, PORT: '0' }
  await serving(t, ['serve', '--config', config], env, port)
  const grants = simulator.counts.tokenRequests
  const [asks = '', then = ''] = linesOf(block)
  const first = await shell(asks, port)
  const second = await shell(then, port)
  assert.match(String(first.get('access_token')), /^veeam-auth-proxy\./)
  assert.ok(Array.isArray(second.get('results')))
  assert.equal(simulator.counts.tokenRequests, grants, 'the appliance has heard nothing of the sign-in')
}

/** The proxy with the environment of its container, at a simulator; and then the command of the other container. */
async function runSidecar(t: TestContext, { text }: Block): Promise<void> {
  const { initContainers, containers } = parse(text)
  const [{ env: listed, ...proxy }] = initContainers
  const manifest = readFileSync(join(repository, 'config/kubernetes/sidecar.yaml'), 'utf8')
  for (const word of [proxy.image, `restartPolicy: ${proxy.restartPolicy}`, containers[0].image]) {
    assert.ok(manifest.includes(word), word)
  }
  const given: Record<string, string> = Object.fromEntries(
    listed.map(({ name, value }: { name: string; value: string }) => [name, value]),
  )
  const simulator = await simulate(t, { product: 'microsoft365', username: given.VEEAM_USERNAME ?? defaultUsername })
  const port = await freePort()
  const file = temporaryFolder(t).write('password', defaultPassword)
  const own = { VEEAM_URL: simulator.url, VEEAM_PASSWORD_FILE: file, VEEAM_TLS_FINGERPRINT: simulator.fingerprint }
  for (const name of Object.keys(own)) assert.ok(given[name], name)
  await serving(t, [], { ...given, ...own, PORT: String(port) }, port)
  const { command } = containers[0]
  const json = await shell(command.map((word: string) => `'${word}'`).join(' '), port)
  assert.ok(Array.isArray(json.get('results')))
}

async function serving(t: TestContext, argv: readonly string[], env: Record<string, string>, port: number) {
  const proxy = startCli(t, argv, { env: { LOG_LEVEL: 'error', ...env } })
  const ready = ['wait', '--for', 'ready', '--timeout', '30s', '--url', `http://127.0.0.1:${port}`]
  // A listener of an appliance's own has no pages of the proxy: any answer will do there.
  if (argv.length === 0) assert.equal((await runCli(ready)).exitCode, 0, proxy.text())
  else
    await eventually('it serves', () =>
      fetch(`http://127.0.0.1:${port}/v8/Jobs`).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
}

async function checkRooms(_: TestContext, { text }: Block): Promise<void> {
  const rooms = new Set(readdirSync(join(repository, 'src')).map(name => name.replace('.ts', '')))
  for (const name of text.match(/[a-z]+/g) ?? []) assert.ok(rooms.has(name), `src has no ${name}`)
}
