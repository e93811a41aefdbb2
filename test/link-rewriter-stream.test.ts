import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LinkFormat, LinkRewriter } from '../src/proxy/link-rewriter.ts'
import type { Standpoint } from '../src/proxy/links.ts'

const MIB = 1_048_576
/** Both addresses are of one length, so that what is held is what went in less what came out. */
const FROM: Standpoint = { origin: 'https://box.example:9398', caller: 'http://localhost:80', mount: '/boxx' }
const BASE = FROM.caller + FROM.mount

const job = (i: number) => ({
  id: i,
  description: `made of ${FROM.origin} "by hand" \\ ${'x'.repeat(i % 300)}`,
  _links: { self: { href: `${FROM.origin}/v8/Jobs/${i}` }, files: [`${FROM.origin}/v8/Jobs/${i}?files=true`] },
})
const DOCUMENTS: Record<LinkFormat, (i: number) => string> = {
  json: i => `${JSON.stringify(job(i))},\n`,
  xml: i => `<Job Href="${FROM.origin}/jobs/${i}"><Url>${FROM.origin}/${i}</Url>${'text '.repeat(i % 60)}</Job>\n`,
}

/** Chunks of 64 KiB, not cut where a record ends, until there were `size` bytes. */
function* generate(record: (i: number) => string, size: number): Generator<{ chunk: Buffer; records: number }> {
  let left = ''
  let made = 0
  for (let records = 0; made < size; ) {
    const texts = [left]
    for (let length = left.length; length < 65_536; records += 1)
      length += texts[texts.push(record(records)) - 1]?.length ?? 0
    const text = texts.join('')
    left = text.slice(65_536)
    made += 65_536
    yield { chunk: Buffer.from(made < size ? text.slice(0, 65_536) : text, 'latin1'), records }
  }
}

for (const format of ['json', 'xml'] as const) {
  test(`a body of 100 MB of ${format} goes through with flat memory and every link in it rewritten`, () => {
    assert.equal(BASE.length, FROM.origin.length)
    // What a process takes to do it at all is not meant: the code is warm.
    const first = new LinkRewriter(FROM, format)
    for (const { chunk } of generate(DOCUMENTS[format], 100 * MIB)) first.write(chunk).toString('latin1')
    const rewriter = new LinkRewriter(FROM, format)
    const before = process.memoryUsage().rss
    let [held, mostHeld, mostMemory, found, expected, tail] = [0, 0, 0, 0, 0, '']
    for (const { chunk, records } of generate(DOCUMENTS[format], 100 * MIB)) {
      const out = rewriter.write(chunk)
      held += chunk.length - out.length
      mostHeld = Math.max(mostHeld, held)
      mostMemory = Math.max(mostMemory, process.memoryUsage().rss - before)
      const seen = tail + out.toString('latin1')
      found += seen.split(BASE).length - 1
      tail = seen.slice(seen.lastIndexOf(BASE) + 1).slice(1 - BASE.length)
      expected = records * 2
    }
    assert.equal(rewriter.end().length, held)
    assert.equal(found, expected)
    assert.ok(mostHeld < 2100, `held ${mostHeld} bytes`)
    assert.ok(mostMemory < 80 * MIB, `grew by ${mostMemory} bytes`)
  })
}

test('a string of 50 MB is passed on as it comes, even when it begins like a link', () => {
  for (const begin of ['"xyz', `"${FROM.origin}/`, `{"href":"${FROM.origin}/`, '{"href":"/']) {
    const rewriter = new LinkRewriter(FROM, 'json')
    rewriter.write(Buffer.from(begin))
    rewriter.write(Buffer.alloc(65_536, 'x'))
    const chunk = Buffer.alloc(65_536, 'y')
    for (let i = 0; i < 800; i += 1) assert.equal(rewriter.write(chunk).length, chunk.length, begin)
  }
})

test('a link with endless space behind it is let go as it is', () => {
  const body = Buffer.from(`["${FROM.origin}/${' '.repeat(5000)}"]`)
  const rewriter = new LinkRewriter(FROM, 'json')
  assert.ok(rewriter.write(body.subarray(0, 3000)).equals(body.subarray(0, 3000)))
  assert.ok(rewriter.write(body.subarray(3000)).equals(body.subarray(3000)))
})

test('links that lie a thousand levels deep stay, and those behind them are rewritten', () => {
  const body = `${'{"a":['.repeat(800)}"${FROM.origin}"${']}'.repeat(800)}"${FROM.origin}"`
  const out = new LinkRewriter(FROM, 'json').write(Buffer.from(body)).toString()
  assert.equal(out, `${body.slice(0, -1 - FROM.origin.length)}${BASE}"`)
})

test('a body of brackets alone takes no memory and comes out as it is', () => {
  const rewriter = new LinkRewriter(FROM, 'json')
  const before = process.memoryUsage().rss
  const chunk = Buffer.alloc(MIB, '[')
  for (let i = 0; i < 64; i += 1) assert.ok(rewriter.write(chunk).equals(chunk))
  assert.ok(process.memoryUsage().rss - before < 30 * MIB)
})

test('where nothing is rewritten the bytes are not copied', () => {
  const cases: [LinkFormat, string][] = [
    ['json', '{"href":"https://other.example/x","a":["h","/"],"Href":"/"}'],
    ['xml', '<a href="https://other.example/x">https://</a>'],
  ]
  for (const [format, body] of cases) {
    const rewriter = new LinkRewriter({ ...FROM, mount: '' }, format)
    for (let i = 0; i < 3; i += 1) {
      const chunk = Buffer.from(body)
      const out = rewriter.write(chunk)
      assert.deepEqual([out.buffer, out.byteOffset, out.length], [chunk.buffer, chunk.byteOffset, chunk.length])
    }
    assert.equal(rewriter.end().length, 0)
  }
})

test('the end of a message is not held back', () => {
  const rewriter = new LinkRewriter(FROM, 'json')
  const messages = ['{"a":1}\n', '{"href":"https://other.example"}', ',"x', '":', '"h', 'ello', '":"', 'a h']
  for (const message of messages) {
    const held = message === '"h' ? 1 : 0
    assert.equal(
      rewriter.write(Buffer.from(message)).length,
      message.length - held + (message === 'ello' ? 1 : 0),
      message,
    )
  }
})
