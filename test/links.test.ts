import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rewriteTargets } from '../src/proxy/links.ts'
import { get, valuesOf } from './caller.ts'
import { applianceAt, type Context, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

/** An appliance that answers every request with the Location that `write` makes of its own address. */
async function start(t: Context, write: (origin: string) => string, mount: 'prefix' | 'root' = 'prefix') {
  const scripted = await startScripted(t, {
    resource(_, response) {
      response.writeHead(201, { location: write(scripted.url), 'content-location': write(scripted.url) })
      response.end()
    },
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')], { mount })
  return { url, port: new URL(url).port, origin: scripted.url }
}

test("a Location that names the appliance is rewritten to the caller's address, byte for byte behind it", async t => {
  const cases: [(origin: string) => string, string][] = [
    [origin => `${origin}/v8/Jobs/1?a=%2F&b=+`, '/v8/Jobs/1?a=%2F&b=+'],
    [origin => `${origin.replace('https', 'HTTPS')}/x//y;z`, '/x//y;z'],
    [origin => `${origin.replace('https:', '')}/x`, '/x'],
    [origin => origin, '/'],
    [origin => `${origin}?q`, '/?q'],
    [() => '/v8/root-relative', '/v8/root-relative'],
  ]
  for (const [write, rest] of cases) {
    const { url, port } = await start(t, write)
    const named = await get(url, '/box/x')
    const absolute = write('https://appliance').includes('appliance')
    const base = absolute ? `http://127.0.0.1:${port}/box` : '/box'
    assert.equal(named.fields.location, base + rest)
    assert.equal(named.fields['content-location'], base + rest)
    const hosted = await get(url, '/x', { host: 'box.localhost:8080' })
    assert.equal(hosted.fields.location, (absolute ? 'http://box.localhost:8080' : '') + rest)
  }
})

test('a Location that names another place, or is relative, stays as it is', async t => {
  const cases: ((origin: string) => string)[] = [
    () => 'https://login.example/x?y=z',
    origin => `${origin}0/x`,
    origin => `${origin.replace('https', 'http')}/x`,
    origin => `https://evil.example/?next=${origin}/x`,
    () => 'relative/x',
    () => '../x?y',
    () => '?only=query',
    () => '',
  ]
  for (const write of cases) {
    const { url, origin } = await start(t, write)
    assert.equal((await get(url, '/box/x')).fields.location, write(origin), write(origin))
  }
})

test('the targets of a Link field lead to the caller, however many there are, and what is quoted stays', async t => {
  const cases: [string, string][] = [
    ['<ORIGIN/v8/Jobs?page=2>; rel="next"', '<BASE/v8/Jobs?page=2>; rel="next"'],
    [
      '<ORIGIN/a?x=1,2;y>; rel=next, </v8/b>;rel="prev first",<https://other.example/c>; rel=x',
      '<BASE/a?x=1,2;y>; rel=next, <MOUNT/v8/b>;rel="prev first",<https://other.example/c>; rel=x',
    ],
    [
      '<relative>; title="a <ORIGIN/b> \\" c, <ORIGIN/d>"; rel=up, <ORIGIN>; rel=start',
      '<relative>; title="a <ORIGIN/b> \\" c, <ORIGIN/d>"; rel=up, <BASE/>; rel=start',
    ],
    ['<>; rel=self, < ORIGIN/x', '<>; rel=self, < ORIGIN/x'],
    [`${'<'.repeat(500)}"${'"<'.repeat(500)}`, `${'<'.repeat(500)}"${'"<'.repeat(500)}`],
  ]
  for (const [written, wanted] of cases) {
    const scripted = await startScripted(t, {
      resource({ fields }, response) {
        response.writeHead(200, { link: [written.replaceAll('ORIGIN', `https://${fields.host}`), '</second>'] })
        response.end()
      },
    })
    const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
    for (const [path, host, base, mount] of [
      ['/box/x', new URL(url).host, `${url}/box`, '/box'],
      ['/x', 'box.localhost:1', 'http://box.localhost:1', ''],
    ] as const) {
      const { raw } = await get(url, path, { host })
      const filled = wanted.replaceAll('ORIGIN', scripted.url).replaceAll('BASE', base).replaceAll('MOUNT', mount)
      assert.deepEqual(valuesOf(raw, 'link'), [filled, `<${mount}/second>`])
    }
  }
})

test('the work of a Link field grows with its length and no faster, also where quotes are never closed', () => {
  for (const value of [
    `"${'\\"'.repeat(50_000)}`,
    `"${'\\"'.repeat(50_000)}\\`,
    '<"'.repeat(50_001),
    '"<'.repeat(50_001),
  ]) {
    const from = performance.now()
    assert.equal(rewriteTargets(value, String), value)
    const took = performance.now() - from
    assert.ok(took < 500, `${Math.round(took)} ms`)
  }
})

test('an appliance that is served at the root gets its links without a name', async t => {
  const { url } = await start(t, origin => `${origin}/v8/x`, 'root')
  assert.equal((await get(url, '/x')).fields.location, `${url}/v8/x`)
})

test('a redirection is passed on and not followed', async t => {
  const scripted = await startScripted(t, {
    resource(_, response) {
      response.writeHead(302, { location: '/elsewhere' })
      response.end()
    },
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure')])
  assert.equal((await get(url, '/box/x')).status, 302)
  assert.equal(scripted.requests.length, 1)
})
