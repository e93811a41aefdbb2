import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalPath } from '../src/policy/canonical-path.ts'

const accepted: readonly [target: string, canonical: string, why: string][] = [
  ['/', '/', 'the root'],
  ['//', '/', 'the root, written twice'],
  ['/?a=b', '/', 'the root with a query'],
  ['/v8/jobs', '/v8/jobs', 'plain already'],
  ['/v8/Jobs', '/v8/jobs', 'case as documented'],
  ['/V7/ObjectStorageRepositories', '/v7/objectstoragerepositories', 'case as no document has it'],
  ['/v8/Jobs/', '/v8/jobs', 'slash at the end'],
  ['/v8//Jobs', '/v8/jobs', 'base and path both with a slash, as tools concatenate them'],
  ['//v8/Jobs', '/v8/jobs', 'slash doubled in front'],
  ['/v8/./Jobs/.', '/v8/jobs', 'single dots'],
  ['/v8/x/../Jobs', '/v8/jobs', 'a way there and back'],
  ['/v8/Jobs/..', '/v8', 'up at the end'],
  ['/v8/Jobs/../', '/v8', 'up at the end, with a slash'],
  ['/v8/%4Aobs', '/v8/jobs', 'a letter that needs no encoding'],
  ['/v8/%2e/Jobs', '/v8/jobs', 'an encoded dot'],
  ['/v8/x/%2E%2e/Jobs', '/v8/jobs', 'encoded dots'],
  ['/v8/x/.%2e/Jobs', '/v8/jobs', 'half encoded dots'],
  ['/api/v8.1/jobSessions', '/api/v8.1/jobsessions', 'a dot in a version'],
  ['/v8/Files/report.v1.txt', '/v8/files/report.v1.txt', 'dots in a file name'],
  ['/v8/Files/report.v1.txt.', '/v8/files/report.v1.txt', 'a dot at the end of a file name'],
  ['/v8/Files/report%20', '/v8/files/report', 'a space at the end'],
  ['/v8/Files/a%20b.txt', '/v8/files/a b.txt', 'a space within'],
  ['/v8/Files/.profile', '/v8/files/.profile', 'a dot in front'],
  ['/v8/Files/..profile', '/v8/files/..profile', 'two dots in front'],
  ['/v8/Files/%E2%82%AC', '/v8/files/€', 'a character beyond ASCII'],
  ['/v8/Files/B%C3%BCro', '/v8/files/büro', 'an umlaut'],
  ['/v8/Files/Bu%CC%88ro', '/v8/files/büro', 'the same umlaut in two parts'],
  ['/v8/Files/%EF%BC%A1%EF%BC%88%EF%BC%92%EF%BC%89', '/v8/files/a(2)', 'fullwidth letters, as in Japanese names'],
  ['/v8/Users/admin%40tenant.onmicrosoft.com', '/v8/users/admin@tenant.onmicrosoft.com', 'a user name'],
  ['/v8/Users/8cc0a1c9%3A1f5b', '/v8/users/8cc0a1c9:1f5b', 'an id of two parts'],
  ['/v8/Users/AAMk%2BAD=', '/v8/users/aamk+ad=', 'an id in Base64'],
  ['/v8/Users/a+b', '/v8/users/a+b', 'a plus sign is no space in a path'],
  ['/v8/Files/100%25', '/v8/files/100%', 'a percent sign that nothing could decode again'],
  ['/v8/Files/50%25%20off', '/v8/files/50% off', 'a percent sign before a space'],
  ['/v8/Jobs;v=1', '/v8/jobs', 'parameters of a segment'],
  ['/v8;a=b/Jobs;c', '/v8/jobs', 'parameters of two segments'],
  ['/v8/Jobs%3Bv=1', '/v8/jobs', 'encoded parameters'],
  ['/v8/Jobs/$count', '/v8/jobs/$count', 'a dollar sign'],
  ["/v8/Jobs('a')", "/v8/jobs('a')", 'OData keys'],
  ['/v8/Jobs?path=/../token', '/v8/jobs', 'dots in the query'],
  ['/v8/Jobs?path=%2F..%2Ftoken&x=%00', '/v8/jobs', 'anything encoded in the query'],
  ['/v8/Jobs?a=\\b#c%zz\u00ff', '/v8/jobs', 'anything at all in the query'],
  ['/v8/Jobs??/v8/Token', '/v8/jobs', 'a second question mark'],
  ['/v8/Jobs/?a=2026-11-21T02%3A39%3A20%2B00%3A00', '/v8/jobs', 'a time in the query'],
]

for (const [target, canonical, why] of accepted) {
  test(`the path rules see ${target} as ${canonical}: ${why}`, () => {
    assert.equal(canonicalPath(target), canonical)
  })
}

const refused: readonly [target: string, why: string][] = [
  ['', 'no path'],
  ['*', 'no path, but the whole server'],
  ['?a', 'no path, but a query'],
  ['v8/Jobs', 'no slash in front'],
  ['https://appliance/v8/Jobs', 'a whole URL'],
  ['/v8/%', 'a percent sign alone'],
  ['/v8/%4', 'one digit'],
  ['/v8/%zz', 'no digits'],
  ['/v8/%u002fJobs', 'the encoding of IIS'],
  ['/v8/%c0%ae', 'an overlong dot'],
  ['/v8/%c0%af', 'an overlong slash'],
  ['/v8/%e0%80%af', 'a longer overlong slash'],
  ['/v8/%ff', 'no UTF-8'],
  ['/v8/%ed%a0%80', 'half a surrogate pair'],
  ['/v8/%252e%252e/Jobs', 'dots encoded twice'],
  ['/v8/a%252fb', 'a slash encoded twice'],
  ['/v8/%2574oken', 'a letter encoded twice, as Kestrel is known to decode it'],
  ['/v8/%25252e', 'a dot encoded three times'],
  ['/v8/%25u002f', 'the encoding of IIS, encoded'],
  ['/v8/%EF%BC%852e', 'a fullwidth percent sign'],
  ['/v8/%25%EF%BC%92e', 'a fullwidth digit after a percent sign'],
  ['/v8/a%2Fb', 'an encoded slash'],
  ['/v8/..%2ftoken', 'an encoded slash after dots'],
  ['/v8/a%5Cb', 'an encoded backslash'],
  ['/v8/a%3Fb', 'an encoded question mark'],
  ['/v8/a%23b', 'an encoded fragment'],
  ['/v8\\Jobs', 'a backslash'],
  ['/v8/Jobs#a', 'a fragment'],
  ['/v8/%00', 'NUL'],
  ['/v8/Jobs%0d%0aa:b', 'a line break'],
  ['/v8/Jobs%7f', 'DEL'],
  ['/v8/Jobs\u0001', 'a raw control'],
  ['/v8/a b', 'a raw space'],
  ['/v8/\u00e9', 'a raw byte beyond ASCII'],
  ['/v8/%EF%BC%8FJobs', 'a fullwidth slash'],
  ['/v8/%EF%BC%8E%EF%BC%8E/Jobs', 'fullwidth dots'],
  ['/v8/%E2%80%A5/Jobs', 'a leader of two dots'],
  ['/v8/a%EF%BC%9Bb', 'a fullwidth semicolon'],
  ['/v8/a%CD%BEb', 'a Greek question mark, which is a semicolon'],
  ['/v8/%E2%84%80', 'a sign that holds a slash (a/c)'],
  ['/v8/a%E2%88%95b', 'a division slash'],
  ['/v8/a%C2%A5b', 'a yen sign, a backslash in Japanese code pages'],
  ['/v8/Jo%C2%ADbs', 'a soft hyphen'],
  ['/v8/Jo%E2%80%8Bbs', 'a space without width'],
  ['/v8/Jobs%E2%80%AEsbo', 'an order to write from right to left'],
  ['/..', 'above the root'],
  ['/../v8/Jobs', 'above the root and down'],
  ['/v8/../../v8/Jobs', 'above the root and down, later'],
  ['/v8//../Jobs', 'up from an empty segment'],
  ['/v8//x/../../Jobs', 'up from an empty segment, later'],
  ['/v8/...', 'three dots, once two levels on Windows'],
  ['/v8/..%20/Jobs', 'dots and a space'],
  ['/v8/.%20./Jobs', 'dots around a space'],
  ['/v8/..;/Jobs', 'dots with parameters'],
  ['/v8/..;a=b/Jobs', 'dots with named parameters'],
  ['/v8/.;/Jobs', 'a dot with parameters'],
  ['/v8/;a/Jobs', 'parameters of nothing'],
  ['/v8/%20/Jobs', 'a space alone'],
  ['/v8/%C2%A0/Jobs', 'a space that does not break, alone'],
]

for (const [target, why] of refused) {
  test(`a path in doubt has no canonical form: ${why}: ${JSON.stringify(target)}`, () => {
    assert.equal(canonicalPath(target), undefined)
  })
}

const fragments = fc.constantFrom(
  ...['/', '/', '//', '.', '..', '/../', '/./', 'a', 'B', 'v8', ';', ';x=y', '%', '%2', '%2e', '%2F', '%25', '%252e'],
  ...['%20', '%c3', '%BC', '%C4%B0', '%E1%BA%9E', '%CF%82', '%CC%87', '%EF%BC%8F', '%u002f', '\\', '?', '#', ' ', '\0'],
)
const character = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).map(percentEncoded)
const targets = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.oneof(fragments, character)).map(parts => `/${parts.join('')}`),
)

test('a canonical path stays as it is, and holds nothing that could be resolved or folded, whatever it was made from', () => {
  let kept = 0
  fc.assert(
    fc.property(targets, target => {
      const canonical = canonicalPath(target)
      if (canonical === undefined) return
      kept += 1
      assert.equal(canonicalPath(canonical.split('/').map(percentEncoded).join('/')), canonical)
      assert.match(canonical, /^\//)
      assert.doesNotMatch(canonical, /\/\/|[A-Z\\?#;\0]|%[0-9a-f]{2}|.\/$/)
      assert.doesNotMatch(`${canonical}/`, /[. ]\//)
    }),
    { numRuns: 20_000 },
  )
  assert.ok(kept > 1000, `only ${kept} of the targets had a canonical form`)
})

test('no character of the first three planes makes a canonical path that would change once more', () => {
  for (let code = 0; code < 0x30000; code += 1) {
    if (code >= 0xd800 && code < 0xe000) continue
    const canonical = canonicalPath(`/v8/a${percentEncoded(String.fromCodePoint(code))}z`)
    if (canonical === undefined) continue
    assert.equal(canonicalPath(canonical.split('/').map(percentEncoded).join('/')), canonical, `U+${code.toString(16)}`)
  }
})

test('the longest paths take no time, however they are built', () => {
  const started = performance.now()
  for (const part of ['.', 'a.', '.a', '/', '/.', '/a/..', '/a', ';', '%20', '%2e', '%25', '%CC%88', 'a%CC%88', '_-']) {
    for (const end of ['', '!', '/', 'Z']) canonicalPath(`/a${part.repeat(64_000 / part.length)}${end}`)
  }
  assert.ok(performance.now() - started < 5000)
})

function percentEncoded(text: string): string {
  return encodeURIComponent(text.replace(/\p{Cs}/gu, '\ufffd'))
}
