import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { compilePaths } from '../src/policy/path-rules.ts'
import { type Call, call, get, jsonOf } from './caller.ts'
import { applianceAt, eventually, type Overrides, startProxy } from './rig.ts'
import { type Script, startScripted } from './scripted-appliance.ts'

/** Asks the same of a proxy twice, as a program does and as a browser where its user has typed the address. */
async function start(t: TestContext, overrides: Overrides = {}, script: Script = {}) {
  const scripted = await startScripted(t, {
    resource: (_, response) =>
      response
        .writeHead(200, { 'Content-Type': 'application/json', Location: `${scripted.url}/v1/next`, ETag: '"a"' })
        .end(`{"href":"${scripted.url}/v1/other","text":"é"}`),
    ...script,
  })
  const proxy = await startProxy(t, [applianceAt(scripted, 'azure', overrides)])
  await eventually('ready', async () => (await get(proxy.url, '/-/readyz')).status === 200)
  let nth = 0
  return async (asked: Call) => {
    const ask = async (fields: Call['fields']) => {
      nth += 1
      const id = `request-${nth}`
      const before = scripted.requests.length
      const { status, raw, text } = await call(proxy.url, {
        ...asked,
        fields: { ...asked.fields, ...fields, 'x-request-id': id },
      })
      const lines = () => proxy.lines.map(jsonOf).filter(line => line.get('msg') === 'request' && line.get('id') === id)
      await eventually('its line', () => lines().length > 0)
      const all = lines().map(line => [...line].filter(([name]) => !/^time$|Ms$|^id$/.test(name)))
      const sent = scripted.requests.slice(before).map(({ method, url, fields: seen }) => {
        const { 'sec-fetch-site': _, 'x-request-id': __, ...rest } = seen
        return { method, url, rest }
      })
      const answered = raw.flatMap((name, i) =>
        i % 2 === 0 && !/^(date|x-request-id)$/i.test(name) ? [`${name.toLowerCase()}: ${raw[i + 1]}`] : [],
      )
      return { status, answered: answered.toSorted(), text, lines: all, sent }
    }
    const answers = [await ask({}), await ask({ 'sec-fetch-site': 'none' })] as const
    return answers
  }
}

const odd: Record<string, Call> = {
  'a GET': { path: '/box/v1/things?limit=1' },
  'a HEAD': { path: '/box/v1/things', method: 'HEAD' },
  'a GET as NAME.localhost': { path: '/v1/things', fields: { host: 'box.localhost' } },
  'a GET of the root': { path: '/box' },
  'a GET of nobody': { path: '/nobody/v1/things' },
  'a GET of the proxy itself': { path: '/-/nothing' },
  'a GET by a host that is not served': { path: '/box/v1/things', fields: { host: 'elsewhere.example' } },
  'a GET that climbs': { path: '/box/v1/../things' },
  'a GET in two readings': { path: '/box/v1/a%2fb' },
  'a GET of what hands out credentials': { path: '/box/api/oauth2/token' },
  'a GET that the rules deny': { path: '/box/v1/denied' },
  'a HEAD that the rules deny': { path: '/box/v1/denied', method: 'HEAD' },
  'a GET with a body': { path: '/box/v1/things', body: 'abc', fields: { 'content-length': '3' } },
  'a GET with an empty body': { path: '/box/v1/things', fields: { 'content-length': '0' } },
}

test('a program and a browser get the same answer, send the same up, and leave the same line behind', async t => {
  const paths = compilePaths(['/v1/things', '/', '/v1/a', '/api/**'])
  const twice = await start(t, { access: { rule: { paths }, credentials: false } })
  for (const [name, asked] of Object.entries(odd)) {
    await t.test(name, async () => {
      const [one, other] = await twice(asked)
      assert.deepEqual(one, other)
      assert.equal(one.lines.length, 1)
    })
  }
})

test('the same goes for what is kept', async t => {
  const cache = { ttl: 60_000, maxSize: 1e6, staleIfError: 0, paths: undefined }
  const twice = await start(t, { cache })
  await twice({ path: '/box/v1/things' })
  const [one, other] = await twice({ path: '/box/v1/things' })
  assert.deepEqual(one, other)
  assert.deepEqual(one.sent, [])
  assert.equal(one.status, 200)
})

test('small answers that come together each go to the caller they are for', async t => {
  const { url } = await startProxy(t, [
    applianceAt(
      await startScripted(t, {
        resource: (seen, response) => setTimeout(() => response.end(`answer to ${seen.url}`), 50),
      }),
      'azure',
    ),
  ])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  const left = new AbortController()
  const leaving = fetch(`${url}/box/left`, { signal: left.signal }).then(
    () => 'answered',
    () => 'left',
  )
  setTimeout(() => left.abort(), 45)
  const numbers = Array.from({ length: 100 }, (_, i) => i)
  const texts = await Promise.all(numbers.map(async i => (await get(url, `/box/${i}`)).text))
  assert.deepEqual(
    texts,
    numbers.map(i => `answer to /${i}`),
  )
  assert.equal(await leaving, 'left')
})
