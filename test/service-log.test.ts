import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { serviceLog } from '../src/cli/service-log.ts'
import { Redactor } from '../src/redactor.ts'
import { startSimulator } from '../src/simulator/index.ts'
import { get, jsonOf } from './caller.ts'
import { entryOf } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually } from './rig.ts'

const tsx = fileURLToPath(import.meta.resolve('tsx'))
const root = fileURLToPath(new URL('..', import.meta.url))

function start(t: TestContext, file: string, argv: readonly string[], cwd = root) {
  const child = spawn(process.execPath, ['--import', tsx, `${root}${file}`, ...argv], {
    cwd,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}

for (const ending of ['exit', 'throw', 'fatal', 'return'] as const) {
  test(`no line that was logged is lost when the process ends by ${ending}`, async t => {
    const child = start(t, 'test/service-log-child.ts', [ending])
    child.stderr.resume()
    const printed = await text(child.stdout)
    const lines = printed.trimEnd().split('\n').map(jsonOf)
    const numbers = lines.map(line => line.get('nth')).filter(nth => nth !== undefined)
    assert.deepEqual(
      numbers.toSorted((a, b) => Number(a) - Number(b)),
      Array.from({ length: 2000 }, (_, nth) => nth),
    )
    const long = '€😀'.repeat(20_000)
    for (const line of lines) {
      const nth = Number(line.get('nth'))
      if (line.has('nth')) assert.ok(line.get('msg') === (nth % 100 === 50 ? long : 'x'.repeat(200)), `line ${nth}`)
    }
    if (ending === 'fatal') assert.equal(lines.at(-1)?.get('msg'), 'the last line')
  })
}

test('a reader of the log that has stopped reading holds up no request', async t => {
  const simulator = await startSimulator({ product: 'azure' })
  t.after(() => simulator.close())
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `appliances:\n${entryOf('box', 'azure', simulator)}`)
  const child = start(t, 'src/main.ts', ['--port', '0'], folder.path)
  let printed = ''
  child.stdout.on('data', chunk => {
    printed += chunk
  })
  await eventually('it listens', () => printed.includes('listening on'), 30_000)
  const [, url = ''] = /listening on (http:[^"]+)/.exec(printed) ?? []
  child.stdout.pause()
  // Two megabytes of lines: more than any pipe or socket holds.
  const path = `/nobody/${'x'.repeat(1000)}`
  for (let i = 0; i < 20; i += 1) await Promise.all(Array.from({ length: 100 }, () => get(url, path)))
  assert.equal((await get(url, '/-/livez')).status, 200)
  child.stdout.resume()
  const lines = () => printed.split('"failure":"UNKNOWN_APPLIANCE"').length - 1
  await eventually('every line is there in the end', () => lines() === 2000)
  child.kill('SIGTERM')
  await once(child, 'close')
  assert.match(printed, /"ended"\}\n$/)
})

/** A terminal, as far as a command can tell. */
class Terminal extends Writable {
  readonly isTTY = true
  text = ''

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk
    done()
  }
}

test('on a terminal the log is for people, one line each, and JSON everywhere else', async () => {
  const terminal = new Terminal()
  const pipe = new PassThrough()
  for (const stdout of [terminal, pipe]) {
    const io = { stdin: new PassThrough(), stdout, stderr: new PassThrough(), env: {}, cwd: '/' }
    const log = await serviceLog(io, 'info', new Redactor())
    log.info({ appliance: 'box', status: 200 }, 'request')
    log.debug('not written')
  }
  pipe.end()
  assert.match(terminal.text, /^\S*\[\d\d:\d\d:\d\d\]\S* \S*INFO\S*: \S*request\S* .*"appliance":"box".*\n$/)
  assert.deepEqual([...jsonOf(await text(pipe)).keys()], ['level', 'time', 'appliance', 'status', 'msg'])
})
