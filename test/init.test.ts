import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { UsageError } from '../src/cli/command.ts'
import { init } from '../src/cli/init.ts'
import { readConfiguration } from '../src/config/configuration.ts'
import { products } from '../src/dialects/index.ts'
import { temporaryFolder } from './configuration-folder.ts'

const example = readFileSync(new URL('../config/appliances.example.yaml', import.meta.url), 'utf8')

async function run(cwd: string, options: Record<string, string> = {}): Promise<{ code: number; printed: string }> {
  const stdout = new PassThrough()
  const io = { stdin: new PassThrough(), stdout, stderr: new PassThrough(), env: {}, cwd }
  const code = await init.run({ args: [], options, io })
  stdout.end()
  return { code, printed: await text(stdout) }
}

test('init writes the commented example, for its owner only, and says what to do next', async t => {
  const folder = temporaryFolder(t)
  const { code, printed } = await run(folder.path)
  const file = join(folder.path, 'appliances.yaml')
  assert.equal(code, 0)
  assert.match(printed, /Wrote appliances\.yaml.*veeam-auth-proxy check\n/)
  assert.equal(readFileSync(file, 'utf8'), example)
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('init --config writes to another path', async t => {
  const folder = temporaryFolder(t)
  const { printed } = await run(folder.path, { config: 'other.yaml' })
  assert.match(printed, /check --config other\.yaml/)
  assert.equal(readFileSync(join(folder.path, 'other.yaml'), 'utf8'), example)
})

test('init never overwrites a file', async t => {
  const folder = temporaryFolder(t)
  const file = folder.write('appliances.yaml', 'mine')
  await assert.rejects(run(folder.path), (error: Error) => {
    assert.ok(error instanceof UsageError)
    assert.match(error.message, /appliances\.yaml exists and is left as it is\. Name another file with --config/)
    return true
  })
  assert.equal(readFileSync(file, 'utf8'), 'mine')
})

test('init says when the directory does not exist', async t => {
  const folder = temporaryFolder(t)
  await assert.rejects(run(folder.path, { config: 'no/a.yaml' }), /directory of no\/a\.yaml does not exist/)
})

test('what init writes is a valid configuration once its variable is set, with and without its examples', async t => {
  const folder = temporaryFolder(t)
  const env = { TENANT_PASSWORD: 'x', AZURE_PASSWORD: 'x', AZURE_TOTP: 'x', GCP_CODE: 'x' }
  const file = folder.write('a.yaml', example)
  const { appliances, listen } = await readConfiguration(file, { TENANT_PASSWORD: 'x' })
  assert.deepEqual(
    appliances.map(({ name }) => name),
    ['tenant'],
  )
  assert.deepEqual(listen.address, { host: '127.0.0.1', port: 8080 })

  const [head, tail = ''] = example.split('# Remove the # in front of what you need.\n')
  const all = await readConfiguration(folder.write('b.yaml', `${head}\n${tail.replace(/^( *)#/gm, '$1')}`), env)
  assert.deepEqual(
    all.appliances.map(({ product }) => product.name).sort(),
    products.map(({ name }) => name).sort(),
    'an example is missing for a product',
  )
})
