import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalPath } from '../src/policy/canonical-path.ts'
import { compilePaths, deniedBy } from '../src/policy/path-rules.ts'
import { get } from './caller.ts'
import { answerOf, openRaw, startRawAppliance } from './raw-http.ts'
import { applianceAt, eventually, startProxy } from './rig.ts'

const patterns: readonly { pattern: string; allows: readonly string[]; denies: readonly string[] }[] = [
  {
    pattern: '/v8/Jobs',
    allows: ['/v8/Jobs', '/V8/JOBS', '/v8/jobs/', '/v8//jobs', '/v8/Jobs?limit=1'],
    denies: ['/v8/Jobs/1', '/v8/Job', '/v8/Jobs2', '/x/v8/Jobs', '/v8', '/'],
  },
  {
    pattern: '/v8/Jobs/*',
    allows: ['/v8/Jobs/1', '/v8/Jobs/a%3Ab.c', '/v8/Jobs/1/'],
    denies: ['/v8/Jobs', '/v8/Jobs/', '/v8/Jobs/1/start', '/v8/Jobs/1/../../Proxies'],
  },
  { pattern: '/v8/*/1', allows: ['/v8/Jobs/1', '/v8/Proxies/1'], denies: ['/v8/1', '/v8/a/b/1', '/v8/Jobs/11'] },
  {
    pattern: '/v8/Restore*',
    allows: ['/v8/Restore', '/v8/RestoreSessions'],
    denies: ['/v8/RestoreSessions/1', '/v8/xRestore'],
  },
  { pattern: '/v8/*Sessions', allows: ['/v8/JobSessions'], denies: ['/v8/JobSessionsX', '/v8/a/Sessions'] },
  {
    pattern: '/v8/**',
    allows: ['/v8', '/v8/', '/v8/Jobs', '/v8/Jobs/1/start', '/v7/../v8/Jobs'],
    denies: ['/v80/Jobs', '/v7/Jobs', '/', '/x/v8/Jobs'],
  },
  { pattern: '/**', allows: ['/', '/v8', '/a/b/c'], denies: [] },
  { pattern: '/', allows: ['/', '//'], denies: ['/v8'] },
  { pattern: '/api/v8.1/jobs', allows: ['/api/v8.1/jobs'], denies: ['/api/v8x1/jobs'] },
  { pattern: '/v8/a+(b)|c$', allows: ['/v8/a+(b)|c$', '/v8/A%2B%28b%29%7Cc%24'], denies: ['/v8/aab', '/v8/c', '/c'] },
  { pattern: '/v8/Büro (1)', allows: ['/v8/b%C3%BCro%20(1)', '/v8/Bu%CC%88ro%20(1)'], denies: ['/v8/buro%20(1)'] },
]

for (const { pattern, allows, denies } of patterns) {
  test(`the path pattern ${pattern} allows what it names and nothing else`, () => {
    const allowed = compilePaths([pattern])
    for (const target of allows) assert.equal(allowed(canonicalPath(target) ?? assert.fail(target)), true, target)
    for (const target of denies) assert.equal(allowed(canonicalPath(target) ?? assert.fail(target)), false, target)
  })
}

test('several path patterns allow what any of them names', () => {
  const allowed = compilePaths(['/v8/Jobs', '/v8/Proxies/*'])
  assert.deepEqual(['/v8/jobs', '/v8/proxies/1', '/v8/jobs/1', '/v8/proxies'].map(allowed), [true, true, false, false])
})

test('an empty list of paths allows none', () => {
  assert.equal(compilePaths([])('/'), false)
})

test('path patterns that could not be meant are refused with their place and what to write instead', () => {
  const refused: readonly [pattern: string, says: RegExp][] = [
    ['', /begins with \//],
    ['v8/Jobs', /begins with \//],
    ['**', /begins with \//],
    ['/v8/Jobs?limit=1', /\? # ; /],
    ['/v8/Jobs#a', /\? # ; /],
    ['/v8/Jobs;a', /\? # ; /],
    ['/v8/[ab]', /\? # ; /],
    ['/v8/{Jobs,Proxies}', /\? # ; /],
    ['/v8/\ud800', /cannot be matched/],
    ['/**/Jobs', /last segment only/],
    ['/v8/**/**', /last segment only/],
    ['/v8/a**', /segment of its own/],
    ['/v8/***', /segment of its own/],
    ['/v8/*a*', /one \* only/],
    ['/v8/Jobs/', /write \/v8\/jobs$/],
    ['/v8//Jobs', /write \/v8\/jobs$/],
    ['/v8/./Jobs', /write \/v8\/jobs$/],
    ['/v7/../v8/**', /write \/v8\/\*\*$/],
    ['/v8/Jobs.', /write \/v8\/jobs$/],
    ['/../v8', /no request has such a path/],
    ['/v8/...', /no request has such a path/],
    ['/v8/a%40b', /not percent-encoded/],
    ['/v8\\Jobs', /no request has such a path/],
  ]
  for (const [pattern, says] of refused) {
    assert.throws(
      () => compilePaths(['/fine', pattern]),
      (error: unknown) => {
        assert.ok(error instanceof TypeError, pattern)
        assert.match(error.message, says)
        assert.ok(error.message.startsWith(`[1] ${JSON.stringify(pattern)}: `), error.message)
        return true
      },
      pattern,
    )
  }
})

test('many wildcards over the longest path take no time', () => {
  const allowed = compilePaths([`/${'*a/'.repeat(30)}*`, '/**', `/a*b/${'*/'.repeat(100)}c`])
  const started = performance.now()
  for (const part of ['a', 'a/', '/', 'ab/']) allowed(`/${part.repeat(20_000)}`)
  assert.ok(performance.now() - started < 5000)
})

test('a read-only rule allows GET, HEAD and OPTIONS and no other method', () => {
  const verdict = (method: string) => deniedBy({ readOnly: true }, method, '/v8/jobs')
  for (const method of ['GET', 'HEAD', 'OPTIONS']) assert.equal(verdict(method), undefined, method)
  for (const method of [
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'TRACE',
    'CONNECT',
    'SEARCH',
    'PROPFIND',
    'get',
    'GET ',
    '',
  ]) {
    assert.equal(verdict(method), 'method', method)
  }
})

test('a rule allows what all of its parts allow, and an empty one everything', () => {
  const paths = compilePaths(['/v8/**'])
  assert.equal(deniedBy({}, 'DELETE', '/v7/jobs'), undefined)
  assert.equal(deniedBy({ readOnly: false }, 'DELETE', '/v7/jobs'), undefined)
  assert.equal(deniedBy({ methods: ['GET', 'POST'] }, 'POST', '/v8/jobs'), undefined)
  assert.equal(deniedBy({ methods: ['GET', 'POST'] }, 'PUT', '/v8/jobs'), 'method')
  assert.equal(deniedBy({ methods: [] }, 'GET', '/v8/jobs'), 'method')
  assert.equal(deniedBy({ methods: ['GET', 'POST'], readOnly: true }, 'POST', '/v8/jobs'), 'method')
  assert.equal(deniedBy({ paths }, 'DELETE', '/v8/jobs'), undefined)
  assert.equal(deniedBy({ paths }, 'GET', '/v7/jobs'), 'path')
  assert.equal(deniedBy({ paths, readOnly: true }, 'GET', '/v7/jobs'), 'path')
})

const bypasses: readonly [request: string, verdict: 'method' | 'path' | 'refused', why: string][] = [
  ['POST /v8/Jobs', 'method', 'the plain attempt to write'],
  ['DELETE /v8/Jobs/1', 'method', 'the plain attempt to delete'],
  ['PATCH /v8/Jobs/1', 'method', 'a method of later date'],
  ['POST /v8/Jobs?_method=GET', 'method', 'a method in the query'],
  ['get /v8/Jobs', 'method', 'a method in lower case is another method'],
  ['GET /v7/Jobs', 'path', 'the plain attempt'],
  ['GET /', 'path', 'the root'],
  ['GET //', 'path', 'the root twice'],
  ['GET /v8x/Jobs', 'path', 'a segment that only begins right'],
  ['GET /v8.1/Jobs', 'path', 'a version that only begins right'],
  ['GET /v8%20x/Jobs', 'path', 'a space within the segment'],
  ['GET /api/v8/Jobs', 'path', 'the right segment in the wrong place'],
  ['GET /v7/Jobs?/v8/', 'path', 'the right path in the query'],
  ['GET /v7/Jobs;/v8/x', 'path', 'the right path after parameters'],
  ['GET /v8/../v7/Jobs', 'path', 'out of the allowed tree'],
  ['GET /v8/./../v7/Jobs', 'path', 'out, past a dot'],
  ['GET /v8/a/../../v7/Jobs', 'path', 'out, after a way in'],
  ['GET /v8/%2e%2e/v7/Jobs', 'path', 'out, by encoded dots'],
  ['GET /v8/.%2E/v7/Jobs', 'path', 'out, by half encoded dots'],
  ['GET /v8;a/../v7/Jobs', 'path', 'out, past parameters'],
  ['GET /v8/..', 'path', 'out, and no further'],
  ['GET /v8/../', 'path', 'out, with a slash'],
  ['GET /v8/../V8.1/Jobs', 'path', 'out and into a version that begins alike'],
  ['GET /v8//../v7/Jobs', 'refused', 'out, or not, by the order in which a server resolves'],
  ['GET /v8/..;/v7/Jobs', 'refused', 'out for Tomcat, a segment for others'],
  ['GET /v8/..;a=b/v7/Jobs', 'refused', 'the same with a name'],
  ['GET /v8/..%3b/v7/Jobs', 'refused', 'the same, encoded'],
  ['GET /v8/..%2fv7/Jobs', 'refused', 'an encoded slash'],
  ['GET /v8/..%5cv7/Jobs', 'refused', 'an encoded backslash'],
  ['GET /v8/..\\v7\\Jobs', 'refused', 'backslashes, slashes for Windows'],
  ['GET /v8\\..\\v7/Jobs', 'refused', 'backslashes around the dots'],
  ['GET /v8/%252e%252e/v7/Jobs', 'refused', 'dots encoded twice'],
  ['GET /v8/%252e%252e%252fv7/Jobs', 'refused', 'dots and slash encoded twice'],
  ['GET /v8/..%252fv7/Jobs', 'refused', 'a slash encoded twice'],
  ['GET /v8/%c0%ae%c0%ae/v7/Jobs', 'refused', 'overlong dots'],
  ['GET /v8/..%c0%afv7/Jobs', 'refused', 'an overlong slash'],
  ['GET /v8/..%u2215v7/Jobs', 'refused', 'the encoding of IIS'],
  ['GET /v8/%EF%BC%8E%EF%BC%8E/v7/Jobs', 'refused', 'fullwidth dots'],
  ['GET /v8/..%EF%BC%8Fv7/Jobs', 'refused', 'a fullwidth slash'],
  ['GET /v8/..%20/v7/Jobs', 'refused', 'dots and a space'],
  ['GET /v8/.../v7/Jobs', 'refused', 'three dots'],
  ['GET /v8/..%00/v7/Jobs', 'refused', 'dots and NUL'],
  ['GET /v8/..%09/v7/Jobs', 'refused', 'dots and a tabulator'],
  ['GET /v8%00/../v7/Jobs', 'refused', 'a NUL that ends the path for some'],
  ['GET /v8%0d%0a/v7/Jobs', 'refused', 'a line break'],
  ['GET /v8/%3F/../../v7/Jobs', 'refused', 'an encoded question mark'],
  ['GET /v8/%23/../../v7/Jobs', 'refused', 'an encoded fragment'],
  ['GET /../v8/Jobs', 'refused', 'above the root and back'],
  ['GET /v8#/../v7/Jobs', 'refused', 'a fragment'],
  ['GET http://other/v8/Jobs', 'refused', 'another origin'],
  ['HEAD /v7/Jobs', 'path', 'fields alone'],
  ['OPTIONS /v7/Jobs', 'path', 'a question alone'],
  ['TRACE /v8/Jobs', 'method', 'an echo of the fields'],
  ['PROPFIND /v8/Jobs', 'method', 'a reading method of another protocol'],
  ['GET /v8/../v8/../v7/Jobs', 'path', 'out, in and out'],
  ['GET /V8/%2E%2e/V7/Jobs', 'path', 'out, in capitals'],
  ['GET /v8/%2e./v7/Jobs?/v8/', 'path', 'out, with the right path in the query'],
  ['GET /v8/.;/../v7/Jobs', 'refused', 'a dot with parameters'],
  ['GET /v8/%2e%2e;/v7/Jobs', 'refused', 'encoded dots with parameters'],
  ['GET /v8/..%u002fv7/Jobs', 'refused', 'a slash in the encoding of IIS'],
  ['GET /v8/..%EF%BC%BCv7/Jobs', 'refused', 'a fullwidth backslash'],
  ['GET /v8/%E2%80%A5/v7/Jobs', 'refused', 'a character that stands for two dots'],
  ['GET /v8/%E2%80%A4%E2%80%A4/v7/Jobs', 'refused', 'characters that stand for a dot'],
  ['GET /v8/..%E2%88%95v7/Jobs', 'refused', 'the slash of mathematics'],
  ['GET /v8/..%C2%A5v7/Jobs', 'refused', 'a yen sign, a backslash in a Japanese code page'],
  ['GET /v7%2f..%2fv8/Jobs', 'refused', 'in, by encoded slashes'],
  ['GET /v7/Jobs%3f/v8/', 'refused', 'an encoded query'],
  ['GET /v8/%', 'refused', 'a percent sign alone'],
  ['GET /v8/%ff', 'refused', 'no UTF-8'],
  ['GET /v8/..%E2%80%8B/v7/Jobs', 'refused', 'dots and a space of no width'],
]

test('none of sixty attempts and more to get around a rule reaches the appliance', async t => {
  const appliance = await startRawAppliance(t, { answer: (_, socket) => socket.write(answerOf('{}')) })
  const rule = { readOnly: true, paths: compilePaths(['/v8/**']) }
  const { url } = await startProxy(t, [applianceAt(appliance, 'azure', { access: { rule, credentials: true } })])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  assert.ok(bypasses.length >= 60)
  const statuses = await Promise.all(
    bypasses.map(async ([request]) => {
      const [method = '', target = ''] = request.split(/ (.*)/s)
      const caller = openRaw(t, url)
      const path = target.startsWith('http:') ? target : `/box${target}`
      caller.say(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`)
      await eventually(`an answer to ${request}`, () => /^HTTP\/1\.1 \d{3} .*\r\n\r\n/s.test(caller.text()))
      return Number(caller.text().slice(9, 12))
    }),
  )
  const passed = bypasses.filter((_, i) => ![400, 403, 404].includes(statuses[i] ?? 0))
  assert.deepEqual([passed, appliance.requests, appliance.faults], [[], [], []])
  assert.equal((await get(url, '/box/v8/Jobs')).status, 200)
})

for (const [request, verdict, why] of bypasses) {
  test(`a rule that allows reading below /v8 holds against ${JSON.stringify(request)}: ${why}`, () => {
    const [method = '', target = ''] = request.split(/ (.*)/s)
    const canonical = canonicalPath(target)
    const rule = { readOnly: true, paths: compilePaths(['/v8/**']) }
    assert.equal(canonical === undefined ? 'refused' : deniedBy(rule, method, canonical), verdict)
  })
}
