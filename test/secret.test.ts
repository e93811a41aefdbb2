import assert from 'node:assert/strict'
import { chmodSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Secret, type SecretReference } from '../src/config/secret.ts'
import { readSecretFile } from '../src/config/secret-file.ts'
import type { failures } from '../src/errors.ts'
import { temporaryFolder } from './configuration-folder.ts'

const VALUE = 'Wv3-the-secret'
/** Prints its argument, which so stands in a test's own process list only. */
const node = (script: string): SecretReference => ({ command: [process.execPath, '-e', script] })

function from(reference: SecretReference, env: Record<string, string> = {}, directory = '/'): Secret {
  return Secret.from(reference, { directory, env, timeLimit: 5_000 })
}

async function refusalOf(secret: Secret): Promise<string> {
  try {
    await secret.reveal()
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error)
    assert.equal(error.code, 'SECRET_UNREADABLE' satisfies keyof typeof failures)
    assert.equal(error.cause, undefined, 'a cause can hold what must not be printed')
    assert.doesNotMatch(inspect(error), /Wv3/)
    return error.message
  }
  assert.fail('the secret was revealed')
}

test('a secret is read from the text itself, a variable, a file or a program', async t => {
  const folder = temporaryFolder(t)
  const file = folder.write('password', `${VALUE}\n`)
  const rows: [SecretReference, string, string | undefined][] = [
    [VALUE, 'the configuration itself', undefined],
    [{ env: 'PASSWORD' }, 'environment variable PASSWORD', undefined],
    [{ file: './password' }, `file ${file}`, file],
    [node(`console.log('${VALUE}')`), `command ${process.execPath}`, undefined],
  ]
  for (const [reference, source, path] of rows) {
    const secret = from(reference, { PASSWORD: VALUE }, folder.path)
    assert.equal(await secret.reveal(), VALUE)
    assert.equal(secret.source, source)
    assert.equal(secret.file, path)
  }
})

test('a secret is read anew at every call, so that a rotated one is picked up', async t => {
  const folder = temporaryFolder(t)
  const env = { PASSWORD: 'first' }
  const file = folder.write('password', 'first')
  const program = node(`process.stdout.write(require('fs').readFileSync('${file}'))`)
  const secrets = [from({ env: 'PASSWORD' }, env), from({ file }), from(program)]
  for (const secret of secrets) assert.equal(await secret.reveal(), 'first')
  env.PASSWORD = 'second'
  renameSync(folder.write('new', 'second'), file)
  for (const secret of secrets) assert.equal(await secret.reveal(), 'second')
})

test('one line break at the end of a file or of what a program prints is dropped, and nothing else', async t => {
  const folder = temporaryFolder(t)
  const rows = [
    ['a\n', 'a'],
    ['a\r\n', 'a'],
    ['a\n\n', 'a\n'],
    [' a \t', ' a \t'],
    ['\uFEFFä\n', 'ä'],
  ] as const
  for (const [written, wanted] of rows) {
    const file = folder.write('password', written)
    assert.equal(await from({ file }).reveal(), wanted)
  }
  assert.equal(await from(node(`process.stdout.write(' a \\r\\n')`)).reveal(), ' a ')
})

test('no way of printing a secret shows its value', async () => {
  const secret = from(VALUE)
  const shown = [String(secret), `${secret}`, JSON.stringify({ secret }), inspect({ secret }, { showHidden: true })]
  for (const text of shown) {
    assert.match(text, /\[redacted\]/)
    assert.doesNotMatch(text, /Wv3/)
  }
  assert.equal(await secret.reveal(), VALUE)
})

test('a secret file open to group or others is refused with the chmod to run, and read once that has been run', async t => {
  const folder = temporaryFolder(t)
  for (const mode of [0o640, 0o604, 0o644, 0o660, 0o620]) {
    const file = folder.write(`password ${mode}`, VALUE)
    chmodSync(file, mode)
    const message = await refusalOf(from({ file }))
    assert.match(message, new RegExp(`mode 0${mode.toString(8)}.*Run: chmod 600 '${file}'`))
    chmodSync(file, 0o600)
    assert.equal(await from({ file }).reveal(), VALUE)
  }
  const file = folder.write('read-only', VALUE, 0o400)
  assert.equal(await from({ file }).reveal(), VALUE)
})

test('the modes of files in the folder that systemd names for credentials are left to systemd', async t => {
  const folder = temporaryFolder(t)
  const file = folder.write('password', VALUE, 0o444)
  chmodSync(file, 0o444)
  assert.equal(await readSecretFile(file, { CREDENTIALS_DIRECTORY: folder.path }), VALUE)
  await assert.rejects(readSecretFile(file, { CREDENTIALS_DIRECTORY: `${folder.path}/pass` }), /open to group/)
  await assert.rejects(readSecretFile(file, { CREDENTIALS_DIRECTORY: '' }), /open to group/)
})

test('a file that cannot be a secret is refused, and which it is', async t => {
  const folder = temporaryFolder(t)
  const rows: [SecretReference, RegExp][] = [
    [{ file: join(folder.path, 'nowhere') }, /nowhere does not exist/],
    [{ file: folder.path }, /is not a regular file/],
    [{ file: folder.write('empty', '\n') }, /empty is empty/],
    [{ file: folder.write('large', 'x'.repeat(65_537)) }, /larger than 64 KiB/],
    [{ file: '/dev/null' }, /is not a regular file/],
    [{ env: 'UNSET' }, /environment variable UNSET is not set/],
  ]
  for (const [reference, message] of rows) assert.match(await refusalOf(from(reference)), message)
})

test('a program runs without a shell, in the folder of the configuration and with the environment given', async t => {
  const folder = temporaryFolder(t)
  const env = { PASSWORD: VALUE }
  const echo = from({ command: [process.execPath, '-p', 'process.argv[1]', '$HOME; `id` | cat > x'] }, env)
  assert.equal(await echo.reveal(), '$HOME; `id` | cat > x')
  assert.equal(await from(node('console.log(process.cwd())'), env, folder.path).reveal(), folder.path)
  assert.equal(await from(node('console.log(process.env.PASSWORD)'), env).reveal(), VALUE)
})

test('a program that takes too long is ended, even when it ignores signals', async () => {
  const reference = node(`process.on('SIGTERM', () => {}); console.log('${VALUE}'); setInterval(() => {}, 1000)`)
  const started = performance.now()
  const secret = Secret.from(reference, { directory: '/', env: {}, timeLimit: 500 })
  assert.match(await refusalOf(secret), /took longer than 0\.5 s/)
  assert.ok(performance.now() - started < 8_000, 'it was waited for')
})

test('a program that fails is named with its exit status, and nothing of its arguments or output is shown', async () => {
  const rows: [SecretReference, RegExp][] = [
    [node(`console.log('${VALUE}'); console.error('${VALUE}'); process.exitCode = 3`), /node ended with status 3/],
    [node(`process.kill(process.pid, 'SIGSEGV'); '${VALUE}'`), /node failed \(ended by a signal\)/],
    [node(`process.stdout.write('${VALUE}'.repeat(10_000))`), /node printed more than 64 KiB/],
    [node(`console.error('${VALUE}')`), /node printed nothing/],
    [{ command: ['/nowhere/program', VALUE] }, /command program does not exist/],
    [{ command: [process.execPath, `${VALUE}\0`] }, /holds a NUL/],
  ]
  for (const [reference, message] of rows) assert.match(await refusalOf(from(reference)), message)
})

test('a program that asks for input gets none, so that it ends at once', async () => {
  const secret = from(node(`process.stdin.on('end', () => console.log('${VALUE}')).resume()`))
  assert.equal(await secret.reveal(), VALUE)
})
