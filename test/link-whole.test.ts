import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LinkRewriter } from '../src/proxy/link-rewriter.ts'
import { rewriteWhole } from '../src/proxy/link-whole.ts'
import type { Standpoint } from '../src/proxy/links.ts'

const standpoints: readonly Standpoint[] = [
  { origin: 'https://box.example', caller: 'http://localhost:8080', mount: '/box' },
  { origin: 'https://box.example:4443', caller: 'https://localhost:1', mount: '' },
  { origin: 'http://10.0.0.1', caller: 'http://127.0.0.1:8080', mount: '/tenant-1' },
]

const origins = ['https://box.example', 'https://box.example:443', 'https://box.example:4443', 'HTTPS://Box.Example']
const others = ['http://10.0.0.1', 'http://10.0.0.1:80', 'https://box.example.evil', 'https://box.exampleX', 'ftp://h']
const tails = [
  '',
  '/',
  '/v8/Jobs',
  '?a=1',
  '#f',
  '/a b',
  '/a\t',
  '/a\t\t',
  ' then',
  ':9',
  '/a"b',
  '/é',
  '/x\\y',
  '\n',
  '/ ',
]
const text = fc.oneof(
  fc.tuple(fc.constantFrom(...origins, ...others), fc.constantFrom(...tails)).map(parts => parts.join('')),
  fc.constantFrom('/', '//', '//host/a', '/v8/Jobs?x=1', '', 'see https://box.example/', '"https://box.example"'),
  fc.constant(`https://box.example/${'x'.repeat(2100)} and more`),
  fc.string(),
)
const name = fc.oneof(fc.constantFrom('href', 'HREF', 'Href', 'href2', 'x', 'https://box.example/'), fc.string())

const document = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.integer(),
    fc.constantFrom(null, true, false),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4 }),
  ),
})).value

function piecewise(body: Buffer, from: Standpoint): string {
  const rewriter = new LinkRewriter(from, 'json')
  return Buffer.concat([rewriter.write(body), rewriter.end()]).toString()
}

test('a body that is there as a whole is rewritten as one that comes in pieces', () => {
  let changed = 0
  fc.assert(
    fc.property(
      document,
      fc.constantFrom(...standpoints),
      fc.constantFrom(undefined, 2, '\t'),
      (value, from, space) => {
        const body = Buffer.from(JSON.stringify(value, undefined, space))
        const rewritten = rewriteWhole(body, from, 'json').toString()
        assert.equal(rewritten, piecewise(body, from))
        if (rewritten !== body.toString()) changed += 1
      },
    ),
    { numRuns: 10_000 },
  )
  assert.ok(changed > 300, `${changed} bodies of 10,000 held a link`)
})

test('a body without a link of the appliance is the one that was given', () => {
  const body = Buffer.from('{"href":"https://elsewhere.example/","_links":[1,"/a"]}')
  assert.equal(
    rewriteWhole(body, { origin: 'https://box.example', caller: 'http://localhost', mount: '' }, 'json'),
    body,
  )
})

test('what is no JSON is left alone or rewritten, and never ends the process', () => {
  const from = { origin: 'https://box.example', caller: 'http://localhost', mount: '/box' }
  for (const broken of [
    '"https://box.example',
    '"/',
    '":"/',
    'href":"/x',
    '://',
    '"://',
    '',
    '"https://box.example/',
  ]) {
    assert.equal(typeof rewriteWhole(Buffer.from(broken), from, 'json').toString(), 'string')
  }
})
