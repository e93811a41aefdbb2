import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LinkFormat, LinkRewriter, linkFormatOf } from '../src/proxy/link-rewriter.ts'
import type { Standpoint } from '../src/proxy/links.ts'

const UNDER_A_MOUNT: Standpoint = { origin: 'https://box.example:9398', caller: 'http://localhost:8080', mount: '/box' }
const AT_THE_ROOT: Standpoint = { ...UNDER_A_MOUNT, mount: '' }
const ON_THE_DEFAULT_PORT: Standpoint = { ...UNDER_A_MOUNT, origin: 'https://box.example' }

function rewritten(body: string | Buffer, format: LinkFormat, from = UNDER_A_MOUNT): string {
  const rewriter = new LinkRewriter(from, format)
  return Buffer.concat([rewriter.write(Buffer.from(body)), rewriter.end()]).toString()
}

function check(cases: readonly (readonly [string, string])[], format: LinkFormat, from = UNDER_A_MOUNT): void {
  for (const [body, expected] of cases) assert.equal(rewritten(body, format, from), expected, body)
}

function checkUntouched(bodies: readonly string[], format: LinkFormat, from = UNDER_A_MOUNT): void {
  for (const body of bodies) assert.equal(rewritten(body, format, from), body)
}

const OURS = 'https://box.example:9398'
const THEIRS = 'http://localhost:8080/box'

test("a JSON value that names the appliance gets the caller's address, byte for byte behind it", () => {
  check(
    [
      [`{"href":"${OURS}/v8/Jobs/1?a=%2F&b=+"}`, `{"href":"${THEIRS}/v8/Jobs/1?a=%2F&b=+"}`],
      [`{ "url" :\n\t"${OURS}" , "n":1.0e5}`, `{ "url" :\n\t"${THEIRS}" , "n":1.0e5}`],
      [`["${OURS}/a","${OURS}?b",\r\n"${OURS}#c"]`, `["${THEIRS}/a","${THEIRS}?b",\r\n"${THEIRS}#c"]`],
      [`"${OURS}/"`, `"${THEIRS}/"`],
      [`\ufeff{"Href":"${OURS}/é"}`, `\ufeff{"Href":"${THEIRS}/é"}`],
      [
        `{"a":{"b":[{"c":"x"},"${OURS}/1"]},"d":"${OURS}/2"}`,
        `{"a":{"b":[{"c":"x"},"${THEIRS}/1"]},"d":"${THEIRS}/2"}`,
      ],
      [`{"a":"\\\\","b":"${OURS}/x"}`, `{"a":"\\\\","b":"${THEIRS}/x"}`],
      [`{"a":"HTTPS://Box.EXAMPLE:9398/X"}`, `{"a":"${THEIRS}/X"}`],
      [`{"a":"${OURS}/1"}\n{"a":"${OURS}/2"}\n`, `{"a":"${THEIRS}/1"}\n{"a":"${THEIRS}/2"}\n`],
    ],
    'json',
  )
})

test('escapes in a JSON value do not hide a link', () => {
  check(
    [
      ['"https:\\/\\/box.example:9398\\/api\\/x"', `"${THEIRS}\\/api\\/x"`],
      ['"https:\\u002f\\u002Fbox.example:9398\\u002fapi"', `"${THEIRS}\\u002fapi"`],
      ['"\\u0068\\u0054tps://box.ex\\u0061mple:93\\u00398?\\u0026"', `"${THEIRS}?\\u0026"`],
      ['{"href":"\\/v8\\/Jobs"}', '{"href":"/box\\/v8\\/Jobs"}'],
      ['{"href":"\\u002fv8"}', '{"href":"/box\\u002fv8"}'],
    ],
    'json',
  )
  checkUntouched(['"https:\\u005c/box.example:9398/"', '{"href":"\\/\\/box.example:9398"}', '"https:\\n//box'], 'json')
})

test('what only looks like a link of the appliance stays', () => {
  const traps = [
    'https://box.example:93980/x',
    'https://box.example:939/x',
    'https://box.example/x',
    'https://box.example.evil.com:9398/x',
    'https://box.example:9398.evil.com/x',
    'https://box.example:9398@evil.com/x',
    'https://evil.com/?next=https://box.example:9398/x',
    'http://box.example:9398/x',
    'https://worker-7.example:443/restore',
    ' https://box.example:9398/x',
    'see https://box.example:9398/x',
    'https://box.example:9398/ui is the address to open',
    'https://box.example:9398/ui\\tis',
    '\\"https://box.example:9398/x\\"',
    ': \\"https://box.example:9398/x',
    'h',
    '',
  ]
  checkUntouched(
    traps.flatMap(trap => [`{"description":"${trap}"}`, `["${trap}",["${trap}"]]`]),
    'json',
  )
  const inXml = traps.map(trap => trap.replaceAll('\\"', '&quot;').replaceAll('\\t', '\t'))
  checkUntouched(
    inXml.flatMap(trap => [`<a b="${trap}"/>`, `<a b='${trap}'></a>`]),
    'xml',
  )
  const texts = inXml.filter(trap => !trap.startsWith(' '))
  checkUntouched(
    texts.map(trap => `<a>${trap}</a>`),
    'xml',
  )
})

test('a member called href is a link even with spaces in it', () => {
  check(
    [
      [
        `{"Href":"${OURS}/query?name=job 1","x":"${OURS}/y z"}`,
        `{"Href":"${THEIRS}/query?name=job 1","x":"${OURS}/y z"}`,
      ],
    ],
    'json',
  )
  check([[`<a Href="${OURS}/job 1" x="${OURS}/y z"/>`, `<a Href="${THEIRS}/job 1" x="${OURS}/y z"/>`]], 'xml')
})

test("the name of a member is no value, even when it is the appliance's address", () => {
  checkUntouched([`{"${OURS}/x":1,"${OURS}/y":{"${OURS}":[]},"${OURS}/z":"a"}`, `{"a":[1,{}],"${OURS}/x":1}`], 'json')
})

test('the port that belongs to the scheme may be there or not', () => {
  const cases = ['https://box.example/x', 'https://box.example:443/x', 'HTTPS://BOX.example:443/x']
  for (const link of cases) check([[`["${link}"]`, `["${THEIRS}/x"]`]], 'json', ON_THE_DEFAULT_PORT)
  check([['"https://box.example:443"', `"${THEIRS}"`]], 'json', ON_THE_DEFAULT_PORT)
  check([['"https://box.example:443"', `"${THEIRS}"`]], 'json', { ...UNDER_A_MOUNT, origin: 'https://box.example:443' })
  check([['"http://box.example:80/"', `"${THEIRS}/"`]], 'json', { ...UNDER_A_MOUNT, origin: 'http://box.example' })
  checkUntouched(
    ['https://box.example:44', 'https://box.example:4430/', 'https://box.example:', 'https://box.example:80/'].map(
      link => `{"href":"${link}"}`,
    ),
    'json',
    ON_THE_DEFAULT_PORT,
  )
})

test('root-relative links get the mount where a member or an attribute is called href, and nowhere else', () => {
  check(
    [
      ['{"_links":{"next":{"href" : "/v8/x?offset=30"}}}', '{"_links":{"next":{"href" : "/box/v8/x?offset=30"}}}'],
      ['{"HREF":"/","Href":"/a"}', '{"HREF":"/box/","Href":"/box/a"}'],
    ],
    'json',
  )
  checkUntouched(
    [
      '{"path":"/v8/x","hrefs":"/x","xhref":"/x","hre":"/x","next":"/x"}',
      '{"href":"//other.example/x","a":["href","/x"]}',
      '{"href":{"a":"/x"}}',
      '{"href":["/x"]}',
      '{"href":1,"a":"/x"}',
      '{"href":"v8/x"}',
      '{"href":"../x","self":"?y"}',
      '["href","/x"]',
      '{"href":""}',
    ],
    'json',
  )
  check(
    [[`<L Rel="/r" href='/a'><M Href = "/b"/>/c</L>`, `<L Rel="/r" href='/box/a'><M Href = "/box/b"/>/c</L>`]],
    'xml',
  )
  check([[`<a href='/a'b='/c'"/d"/>`, `<a href='/box/a'b='/c'"/d"/>`]], 'xml')
  checkUntouched(['<a hrefs="/x" xhref="/x" hre="/x" Href="//x/y" b="href" c="/x"/>', '<href a="/x">/x</href>'], 'xml')
})

test('a caller without a mount gets root-relative links as they are', () => {
  check(
    [[`{"href":"/v8","next":"${OURS}/v8"}`, '{"href":"/v8","next":"http://localhost:8080/v8"}']],
    'json',
    AT_THE_ROOT,
  )
  check([[`<a href="/v8" b="${OURS}/v8"/>`, '<a href="/v8" b="http://localhost:8080/v8"/>']], 'xml', AT_THE_ROOT)
})

test("an XML attribute or text that names the appliance gets the caller's address", () => {
  check(
    [
      [`<Link Href="${OURS}/api/a?b=1&amp;c=2" Rel="Up"/>`, `<Link Href="${THEIRS}/api/a?b=1&amp;c=2" Rel="Up"/>`],
      [`<L a='${OURS}'b='${OURS}/x'>`, `<L a='${THEIRS}'b='${THEIRS}/x'>`],
      [`<U>${OURS}/x</U><V>\r\n  ${OURS}/y\r\n</V>`, `<U>${THEIRS}/x</U><V>\r\n  ${THEIRS}/y\r\n</V>`],
      [
        `<?xml version="1.0"?><!-- "> --><U><W a="/>" />t</U><U>${OURS}</U>`,
        `<?xml version="1.0"?><!-- "> --><U><W a="/>" />t</U><U>${THEIRS}</U>`,
      ],
      [`<!DOCTYPE a><![CDATA[<a b="]]]><a b="${OURS}/"/>`, `<!DOCTYPE a><![CDATA[<a b="]]]><a b="${THEIRS}/"/>`],
    ],
    'xml',
  )
})

test('text between elements, comments, CDATA sections and instructions are no links', () => {
  checkUntouched(
    [
      `<p>see <b>x</b>${OURS}/x</p>`,
      `<p><b/>${OURS}/x</p>`,
      `<!-- <a> - - > <b href="${OURS}/x">${OURS}/y</b></a> -->`,
      `<a><![CDATA[<b> ] ] > <c d="${OURS}">${OURS}/x</c></b>]]></a>`,
      `<?go <a><b href="${OURS}/x"/> ?>`,
    ],
    'xml',
  )
})

test("the caller's address is spelt as the format asks for", () => {
  const odd: Standpoint = { origin: OURS, caller: 'http://a"b\'<&>\\c', mount: '' }
  assert.deepEqual(JSON.parse(rewritten(`{"href":"${OURS}/x"}`, 'json', odd)), { href: `${odd.caller}/x` })
  assert.equal(rewritten(`<a b="${OURS}/x"/>`, 'xml', odd), '<a b="http://a&#34;b&#39;&#60;&#38;&#62;\\c/x"/>')
})

test('a broken body passes through', () => {
  const broken = [
    '{"a":"\\u00zz","b":"\\x","c":tru',
    ']]]}}}{"a',
    '"https:\\',
    '"https:\\u00',
    '{"href":"/',
    `"${OURS}`,
    '"',
    '',
    '"\\u"/',
    '"a\\',
  ]
  checkUntouched(broken, 'json')
  checkUntouched(
    ['<', '<a', '<a b', '<a b="https:', `<a b="${OURS}`, '<a><', '<!', '<!-', '<![', '<a>https://bo', '>>"<'],
    'xml',
  )
  const bytes = Buffer.from([0xff, 0x22, 0xc3, 0x28, 0x22, 0x00, 0xfe, 0x5c, 0x22, 0x80])
  for (const format of ['json', 'xml'] as const) {
    const rewriter = new LinkRewriter(UNDER_A_MOUNT, format)
    assert.deepEqual(Buffer.concat([rewriter.write(bytes), rewriter.end()]), bytes)
  }
  check([[`]]}{"href":"/x"}`, `]]}{"href":"/box/x"}`]], 'json')
  check([[`["\\u","${OURS}/x"]`, `["\\u","${THEIRS}/x"]`]], 'json')
})

test('JSON and XML can hold links, and no other content can', () => {
  const formats: [string | undefined, LinkFormat | undefined][] = [
    ['application/json', 'json'],
    ['Application/JSON; charset=utf-8', 'json'],
    ['application/problem+json', 'json'],
    ['application/hal+json;x=y', 'json'],
    ['application/xml', 'xml'],
    ['text/xml; charset="utf-8"', 'xml'],
    ['application/atom+xml', 'xml'],
    ['application/octet-stream', undefined],
    ['text/html', undefined],
    ['text/csv', undefined],
    ['text/plain; x=application/json', undefined],
    ['application/jsonp', undefined],
    ['application/x-json-log', undefined],
    ['', undefined],
    [undefined, undefined],
  ]
  for (const [contentType, format] of formats) {
    assert.equal(linkFormatOf(contentType), format, contentType)
  }
})
