import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import { Check } from 'typebox/value'
import { parse } from 'yaml'
import { schema } from '../src/cli/schema.ts'
import { jsonSchema } from '../src/config/schema.ts'
import { products } from '../src/dialects/index.ts'

const read = (name: string) => readFileSync(new URL(`../config/${name}`, import.meta.url), 'utf8')

test('config/appliances.schema.json is what the schema command prints, byte for byte', async () => {
  const stdout = new PassThrough()
  const io = { stdin: new PassThrough(), stdout, stderr: new PassThrough(), env: {}, cwd: '/' }
  assert.equal(await schema.run({ args: [], options: {}, io }), 0)
  stdout.end()
  const printed = await text(stdout)
  const advice = 'run: npx tsx src/main.ts schema > config/appliances.schema.json'
  assert.equal(read('appliances.schema.json'), printed, advice)
})

test('the committed JSON Schema accepts the example and refuses what is wrong', () => {
  // strict: an unknown keyword or a default that is ignored is an error of the schema itself.
  const fits = new Ajv({ strict: true, strictTypes: true, strictRequired: false }).compile(
    JSON.parse(read('appliances.schema.json')),
  )
  const example = () => parse(read('appliances.example.yaml'))
  assert.equal(fits(example()), true, JSON.stringify(fits.errors))
  const { tenant } = example().appliances
  const wrong: Record<string, unknown>[] = [
    {},
    { tenant: { ...tenant, product: 'other' } },
    { tenant: { ...tenant, shortTermRefresh: true } },
    { tenant: { ...tenant, url: 'https://a/path' } },
    { tenant: { ...tenant, tls: { verify: true } } },
    { tenant: { ...tenant, credentials: { username: 'a' } } },
    { tenant: { ...tenant, credentials: { authorizationCode: 'a' } } },
    { Tenant: tenant },
  ]
  for (const appliances of wrong) assert.equal(fits({ appliances }), false, JSON.stringify(appliances))
  assert.equal(fits({ ...example(), listen: 8080 }), false)
  assert.equal(fits({ ...example(), extra: true }), false)
})

test('every key in the JSON Schema has a title and a description, and every default of a product is in it', () => {
  const bare: string[] = []
  const defaults = new Set<string>()
  const walk = (node: unknown, path: string): void => {
    // What lies inside a product's own key is described by that key.
    if (typeof node !== 'object' || node === null || path.includes('/antiforgery/')) return
    for (const [key, value] of Object.entries(node)) walk(value, `${path}/${key}`)
    if (!('properties' in node) || typeof node.properties !== 'object' || path.endsWith('/if')) return
    for (const [key, property] of Object.entries(node.properties ?? {})) {
      if (property === true) continue
      if (!property.title) bare.push(`title of ${path}/${key}`)
      if (!property.description) bare.push(`description of ${path}/${key}`)
      if (property.default !== undefined) defaults.add(key)
    }
  }
  walk(jsonSchema(), '')
  assert.deepEqual(bare, [])
  for (const { options } of products) {
    for (const [key, property] of Object.entries(options.properties)) {
      if ('default' in property) assert.ok(defaults.has(key), key)
    }
  }
  assert.ok(defaults.has('listen'))
})

const scalars = ['', 'x', 'on', 'auto', 'azure', '10s', '64MB', '127.0.0.1:1', -1, 0, 1, 1.5, 70_000, true, false, null]
const change = fc.record({
  at: fc.array(fc.nat(20), { maxLength: 6 }),
  key: fc.constantFrom(
    'listen',
    'callers',
    'tls',
    'cache',
    'totp',
    'apiVersion',
    'stateDirectory',
    'credentials',
    'Odd',
  ),
  what: fc.constantFrom('drop', 'set', 'add'),
  value: fc.oneof(
    fc.constantFrom(...scalars),
    fc.constantFrom({}, [], ['x'], [{}], { file: 'x' }, { env: 'X' }, { cert: 'a', key: 'b' }, { ca: 'x' }),
    fc.jsonValue({ maxDepth: 2 }),
  ),
})

test('what a start accepts without Ajv is what Ajv accepts, whatever becomes of a sound configuration', () => {
  const fits = new Ajv({ allErrors: true }).compile(jsonSchema())
  const sound = ['appliances.example.yaml', 'demo.yaml'].map(name => read(name))
  const seen = { sound: 0, wrong: 0 }
  const property = fc.property(fc.constantFrom(...sound), fc.array(change, { maxLength: 2 }), (text, changes) => {
    const value: unknown = parse(text)
    for (const { at, key, what, value: given } of changes) {
      let node: unknown = value
      for (const step of at.slice(1)) node = childrenOf(node)[step % Math.max(childrenOf(node).length, 1)] ?? node
      if (typeof node !== 'object' || node === null) continue
      const keys = Object.keys(node)
      const old = keys[(at[0] ?? 0) % Math.max(keys.length, 1)] ?? key
      if (what === 'drop' && Array.isArray(node)) node.splice(Number(old), 1)
      else if (what === 'drop') Reflect.deleteProperty(node, old)
      else Reflect.set(node, what === 'add' ? key : old, structuredClone(given))
    }
    const accepted = fits(value)
    seen[accepted ? 'sound' : 'wrong']++
    assert.equal(Check(jsonSchema(), value), accepted, JSON.stringify(value))
  })
  fc.assert(property, { numRuns: 2_000 })
  assert.ok(seen.sound > 50 && seen.wrong > 50, JSON.stringify(seen))
})

function childrenOf(node: unknown): unknown[] {
  return typeof node === 'object' && node !== null ? Object.values(node) : []
}
