import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type LinkFormat, LinkRewriter } from '../src/proxy/link-rewriter.ts'
import type { Standpoint } from '../src/proxy/links.ts'

const OURS = 'https://box.example'
const FROM: Standpoint = { origin: OURS, caller: 'http://localhost:8080', mount: '/box' }

function rewritten(chunks: Iterable<Buffer>, format: LinkFormat): Buffer {
  const rewriter = new LinkRewriter(FROM, format)
  const out: Buffer[] = []
  for (const chunk of chunks) out.push(Buffer.from(rewriter.write(chunk)))
  return Buffer.concat([...out, rewriter.end()])
}

function* cut(body: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let from = 0, i = 0; from < body.length; i += 1) {
    const size = sizes[i % sizes.length] ?? body.length
    yield body.subarray(from, from + size)
    from += size
  }
}

const DOCUMENTS: readonly (readonly [LinkFormat, string])[] = [
  [
    'json',
    `\ufeff{"_links" : {"self":{"href": "${OURS}:443/a?b=\\"#"}, "next":{"HREF":"\\/v8\\u002fx"}, "prev":{"href":"//x"}, "up":{"href":"/h/1"}},\r\n
    "description":"${OURS}/x is \\\\\\"${OURS}\\"", "é":["${OURS}", "https:\\/\\/BOX.\\u0065xample\\/y", "${OURS}:4430/"],
    "${OURS}/key":{"hre":"/a","href":["/b"],"u":"\\ud83d\\ude00"},"n":-1.50e+3, "t":"${OURS}?q" }`,
  ],
  ['json', `["${OURS}/${'long/'.repeat(500)}","${OURS}/${'long/'.repeat(500)} with a space","${OURS}/x`],
  ['json', '{"href":"\\u00zz","a":"\\'],
  [
    'xml',
    `<?xml version="1.0" encoding="utf-8"?>\r\n<!DOCTYPE L [ ]><!-- "<a href='/x'> --><L xmlns="http://x/" a='"' >
    <Ref Href="${OURS}/api/jobs/1?a=1&amp;b" Name="${OURS}:443/ x" href = '/v1'/><U>\n ${OURS}/y </U>
    <![CDATA[ <a href="/no"> ]]]><b hre="/a" Hrefs="/b" x:href="/c" hreF="/d"></b >${OURS}/after<i/>${OURS}/no<é ü="${OURS}:443"/></L>`,
  ],
]

test('what comes out does not depend on where a body is cut in two', () => {
  for (const [format, text] of DOCUMENTS) {
    const body = Buffer.from(text)
    const whole = rewritten([body], format)
    if (text.includes(OURS)) assert.notDeepEqual(whole, body)
    for (let at = 0; at <= body.length; at += 1) {
      const halves = [body.subarray(0, at), body.subarray(at)]
      assert.equal(rewritten(halves, format).toString(), whole.toString(), `cut at ${at}`)
    }
  }
})

test('what comes out does not depend on the size of the chunks', () => {
  for (const [format, text] of DOCUMENTS) {
    const body = Buffer.from(text)
    const whole = rewritten([body], format).toString()
    for (const sizes of [[1], [2], [3], [1, 7], [16]]) {
      assert.equal(rewritten(cut(body, sizes), format).toString(), whole, `chunks of ${sizes}`)
    }
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }), sizes => {
        assert.equal(rewritten(cut(body, sizes), format).toString(), whole)
      }),
      { numRuns: 100 },
    )
  }
})

/** What JSON.parse makes of a body, with its links turned one by one: what the rewriter must come to without parsing. */
function turned(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map(member => turned(member))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, turned(member, key)]))
  }
  if (typeof value !== 'string') return value
  const isHref = name.toLowerCase() === 'href'
  const [, rest] = /^https:\/\/box\.example(?::443)?((?:[/?#].*)?)$/is.exec(value) ?? []
  const isSentence = [...value].some((char, at) => char <= ' ' && [...value].slice(at).some(after => after > ' '))
  if (rest !== undefined && (isHref || !isSentence)) return `${FROM.caller}${FROM.mount}${rest}`
  return isHref && /^\/(?!\/)/.test(value) ? FROM.mount + value : value
}

const pieces = fc.constantFrom(
  OURS,
  'HTTPS://box.EXAMPLE',
  ':443',
  ':44',
  '/',
  '//',
  '?',
  '#',
  ' ',
  '\n',
  '"',
  '\\',
  '\0',
  'é',
  '😀',
  'h',
)
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(pieces, { maxLength: 6 }).map(found => found.join('')),
)
const name = fc.oneof(fc.constantFrom('href', 'Href', 'hrefs', OURS), text).filter(key => key !== '__proto__')
const { json } = fc.letrec<{ json: unknown }>(tie => ({
  json: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.constantFrom(null, true, 0, -1.5e-7),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(name, tie('json'), { maxKeys: 4, noNullPrototype: true }),
  ),
}))

/** The same JSON with some characters of its strings spelt as escapes. */
function respelt(body: string, every: number): string {
  let count = 0
  return body.replace(/\\.|[/htps]/g, found => {
    count += 1
    if (found.length > 1 || count % every > 0) return found
    if (found === '/') return '\\/'
    return /^[ht]/.test(found) ? `\\u00${found.charCodeAt(0).toString(16)}` : found
  })
}

test('any JSON comes out as if it had been parsed and each of its links had been turned', () => {
  fc.assert(
    fc.property(
      json,
      fc.constantFrom(0, 2),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (value, indent, sizes) => {
        const body = Buffer.from(JSON.stringify(value, null, indent))
        const out = rewritten(cut(body, sizes), 'json').toString()
        assert.equal(out, JSON.stringify(turned(value), null, indent))
      },
    ),
    { numRuns: 3000 },
  )
})

test('any JSON with escapes in its values means the same afterwards', () => {
  const values = fc.array(text, { maxLength: 5 })
  fc.assert(
    fc.property(values, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 9 }), (value, every, size) => {
      const body = Buffer.from(respelt(JSON.stringify(value), every))
      assert.deepEqual(JSON.parse(rewritten(cut(body, [size]), 'json').toString()), turned(value))
    }),
    { numRuns: 2000 },
  )
})

test('any JSON and any bytes without a link come out as they are', () => {
  const anything = fc.oneof(
    fc.json({ maxDepth: 5 }).map(body => Buffer.from(body)),
    fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
    fc.array(fc.constantFrom(...'{}[]":,\\/<>!-=\' h'), { maxLength: 60 }).map(chars => Buffer.from(chars.join(''))),
  )
  fc.assert(
    fc.property(anything, fc.constantFrom('json', 'xml'), fc.integer({ min: 1, max: 50 }), (body, format, size) => {
      assert.deepEqual(rewritten(cut(body, [size]), format), body)
    }),
    { numRuns: 3000 },
  )
})
