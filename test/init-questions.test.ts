import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { run } from '../src/cli/index.ts'
import { createCertificate, defaultPassword, type SimulatorOptions } from '../src/simulator/index.ts'
import { Memory, runCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { eventually, simulate } from './rig.ts'

const DOWN = '\u001b[B'

/** Each question, as far as it is looked for, and what is typed once it stands there. */
type Steps = readonly (readonly [question: string, answer: string])[]

/** `init` on a terminal at which somebody answers its questions. */
async function converse(cwd: string, steps: Steps, argv: readonly string[] = []) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} })
  const stdout = new Memory(24)
  const stderr = new Memory(24)
  const ended = run(['init', ...argv], { stdin, stdout, stderr, env: {}, cwd })
  let over = false
  void ended.then(() => {
    over = true
  })
  let seen = 0
  for (const [question, answer] of steps) {
    const shown = () => stripVTControlCharacters(stderr.text).indexOf(question, seen)
    await eventually(`${question} in ${stderr.text}`, () => over || shown() >= 0)
    if (over) break
    seen = shown() + question.length
    // What is typed before a question stands there is not taken for its answer.
    await new Promise(resolve => setTimeout(resolve, 50))
    stdin.write(answer)
  }
  const exitCode = await ended
  return { exitCode, stdout: stdout.text, stderr: stripVTControlCharacters(stderr.text) }
}

async function setUp(t: TestContext, options: SimulatorOptions) {
  const simulator = await simulate(t, options)
  const { path } = temporaryFolder(t)
  return { simulator, cwd: path, read: (name: string) => readFileSync(join(path, name), 'utf8') }
}

test('init on a terminal asks, pins the certificate, tries the password, and writes what check then signs in with', async t => {
  const { simulator, cwd, read } = await setUp(t, { product: 'microsoft365' })
  const { exitCode, stdout, stderr } = await converse(cwd, [
    ['Product', `${DOWN}\r`],
    ['Address of the appliance', `${simulator.url.replace('https://', '')}\r`],
    ['to be pinned?', 'y'],
    ['Name for it here', '\r'],
    ['User name', 'Administrator\r'],
    ['Password', `${defaultPassword}\r`],
  ])
  assert.equal(exitCode, 0, stderr)
  assert.ok(stderr.includes(`SHA-256  ${simulator.fingerprint}`), 'the certificate was shown')
  assert.match(stdout, /^Wrote appliances\.yaml, and the password to microsoft365\.password\. Start the proxy: /)
  assert.match(stdout, /http:\/\/localhost:8080\/microsoft365\/\n$/)
  assert.deepEqual([simulator.counts.signIns, simulator.counts.signOuts], [1, 1])

  assert.ok(!stderr.includes('▪'), 'how long the password is was shown')
  assert.ok(!`${stdout}${stderr}${read('appliances.yaml')}`.includes(defaultPassword), 'the password was shown')
  assert.equal(read('microsoft365.password'), defaultPassword)
  for (const name of readdirSync(cwd)) assert.equal(statSync(join(cwd, name)).mode & 0o777, 0o600, name)
  const checked = await runCli(['check'], { cwd })
  assert.equal(checked.exitCode, 0, checked.stdout)
  assert.match(checked.stdout, /^microsoft365 +microsoft365 +yes +pinned +yes/m)
})

test('init asks again for credentials that are refused, three times at most, and then writes nothing', async t => {
  const { simulator, cwd } = await setUp(t, { product: 'azure' })
  const wrong: Steps = [
    ['User name', 'Administrator\r'],
    ['Password', 'wrong\r'],
  ]
  const { exitCode, stdout, stderr } = await converse(cwd, [
    ['Product', '\r'],
    ['Address', `${simulator.url}\r`],
    ['to be pinned?', 'y'],
    ['Name for it here', '\r'],
    ...wrong,
    ...wrong,
    ...wrong,
  ])
  assert.deepEqual([exitCode, stdout], [1, ''])
  assert.match(stderr, /error: The appliance refused the credentials\..*\nNothing was written\.\n$/)
  assert.equal(simulator.counts.refusedSignIns, 3)
  assert.deepEqual(readdirSync(cwd), [])
})

test('init writes nothing where the certificate is not agreed to, and sends no password there', async t => {
  const { simulator, cwd } = await setUp(t, { product: 'azure' })
  const { exitCode, stderr } = await converse(cwd, [
    ['Product', '\r'],
    ['Address', `${simulator.url}\r`],
    ['to be pinned?', '\r'],
  ])
  assert.equal(exitCode, 1)
  assert.match(stderr, /error: Nothing was written\.\n$/)
  assert.deepEqual([simulator.counts.requests, readdirSync(cwd)], [0, []])
})

test('init pins no certificate that has expired, and asks no further', async t => {
  const certificate = await createCertificate({ days: 1, notBefore: new Date(Date.now() - 3 * 86_400_000) })
  const { simulator, cwd } = await setUp(t, { product: 'azure', certificate })
  const { exitCode, stderr } = await converse(cwd, [
    ['Product', '\r'],
    ['Address', `${simulator.url}\r`],
  ])
  assert.equal(exitCode, 1)
  assert.match(stderr, /It has expired, and cannot be pinned\..*error: Nothing was written\.\n$/s)
  assert.deepEqual([simulator.counts.requests, readdirSync(cwd)], [0, []])
})

test('init says what an address or a name lacks, and takes the next one', async t => {
  const { simulator, cwd, read } = await setUp(t, { product: 'azure' })
  const { exitCode, stderr } = await converse(cwd, [
    ['Product', '\r'],
    ['Address', 'https://a/b\r'],
    ['url holds a path', `${'\b'.repeat(20)}${simulator.url}\r`],
    ['to be pinned?', 'y'],
    ['Name for it here', 'My Box\r'],
    ['Take small letters', `${'\b'.repeat(20)}box-1\r`],
    ['User name', '\r'],
    ['An answer is wanted', 'Administrator\r'],
    ['Password', `${defaultPassword}\r`],
  ])
  assert.equal(exitCode, 0, stderr)
  assert.match(read('appliances.yaml'), /^ {2}box-1:$/m)
  assert.equal(read('box-1.password'), defaultPassword)
})

test('init takes the port of the product where the address has none, and says when nothing answers there', async t => {
  const { path } = temporaryFolder(t)
  const { exitCode, stderr } = await converse(path, [
    ['Product', `${DOWN}${DOWN}\r`],
    ['Address', '127.0.0.1\r'],
  ])
  assert.equal(exitCode, 1)
  assert.match(
    stderr,
    /error: https:\/\/127\.0\.0\.1:13140 shows no certificate \(ECONNREFUSED\)\. Check host and port/,
  )
})

test('init says that the password is right where the appliance wants a code, and how it is given', async t => {
  const { simulator, cwd, read } = await setUp(t, { product: 'azure', totpSecret: 'JBSWY3DPEHPK3PXP' })
  const { exitCode, stderr } = await converse(cwd, [
    ['Product', '\r'],
    ['Address', `${simulator.url}\r`],
    ['to be pinned?', 'y'],
    ['Name for it here', '\r'],
    ['User name', 'Administrator\r'],
    ['Password', `${defaultPassword}\r`],
  ])
  assert.equal(exitCode, 0, stderr)
  assert.match(stderr, /The password is right, and the appliance wants a code\. .*veeam-auth-proxy code azure/)
  assert.equal(read('azure.password'), defaultPassword)
})

test('init that is interrupted, or whose terminal goes away, writes nothing', async t => {
  const { path } = temporaryFolder(t)
  const interrupted = await converse(path, [['Product', '\u0003']])
  assert.equal(interrupted.exitCode, 1)
  assert.match(interrupted.stderr, /error: Nothing was written\.\n$/)
  const { stdin, ended } = startInit(path)
  stdin.end()
  assert.equal(await ended, 1)
  assert.deepEqual(readdirSync(path), [])
})

function startInit(cwd: string) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} })
  return { stdin, ended: run(['init'], { stdin, stdout: new Memory(24), stderr: new Memory(24), env: {}, cwd }) }
}

test('init refuses before the first question where it cannot write, with exit code 2', async t => {
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', 'mine')
  const taken = await converse(folder.path, [])
  assert.equal(taken.exitCode, 2)
  assert.match(taken.stderr, /appliances\.yaml exists and is left as it is/)
  const nowhere = await converse(folder.path, [], ['--config', 'no/a.yaml'])
  assert.equal(nowhere.exitCode, 2)
  assert.match(nowhere.stderr, /directory of no\/a\.yaml does not exist/)
})

test('init --example writes the commented example on a terminal, too', async t => {
  const { path } = temporaryFolder(t)
  const { exitCode, stdout } = await converse(path, [], ['--example'])
  assert.equal(exitCode, 0)
  assert.match(stdout, /^Wrote appliances\.yaml\. Put your appliances into it/)
})
