import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ApplianceConfiguration } from '../src/config/configuration.ts'
import { give, MB, startCached, startWaiting, status } from './cache-rig.ts'
import { get, open } from './caller.ts'
import { eventually, startProxy } from './rig.ts'
import type { Seen } from './scripted-appliance.ts'

setFlagsFromString('--expose-gc')
const collect: unknown = runInNewContext('gc')

/** What is held once all that nobody holds is gone: V8 frees buffers beside the work, after the collection. */
async function bytesHeld(): Promise<number> {
  for (let i = 0; i < 3; i += 1) {
    if (typeof collect === 'function') collect()
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return process.memoryUsage().arrayBuffers
}

/** Answers with as many bytes as the path says. */
function sized({ url }: Seen, response: ServerResponse): void {
  give(response, Buffer.alloc(Number(/\d+$/.exec(url)?.[0]), '1'))
}

test('when the cache is full those answers go that were asked for the longest ago', async t => {
  const { ask } = await startCached(t, { cache: { maxSize: MB }, resource: sized, overrides: { rewriteLinks: false } })
  const says = async (name: string) => status(await ask({}, `/box/${name}/300000`)).slice(0, 3)
  assert.deepEqual([await says('a'), await says('b'), await says('c')], ['fwd', 'fwd', 'fwd'])
  assert.equal(await says('a'), 'hit')
  assert.equal(await says('d'), 'fwd')
  assert.deepEqual([await says('a'), await says('c'), await says('d')], ['hit', 'hit', 'hit'])
  assert.equal(await says('b'), 'fwd')
})

test('an answer that does not fit in beside its fields is not kept, and harms no other', async t => {
  const { ask } = await startCached(t, { cache: { maxSize: MB }, resource: sized, overrides: { rewriteLinks: false } })
  const says = async (size: number) => status(await ask({}, `/box/${size}`)).slice(0, 3)
  assert.deepEqual([await says(1000), await says(MB - 1), await says(MB - 1)], ['fwd', 'fwd', 'fwd'])
  assert.equal(await says(1000), 'hit')
})

test('three hundred answers of three hundred paths take no more memory than maxSize allows', async t => {
  const size = 500_000
  const maxSize = 8 * MB
  const { ask } = await startCached(t, { cache: { maxSize }, resource: sized, overrides: { rewriteLinks: false } })
  for (let i = 0; i < 20; i += 1) await ask({}, `/box/${i}/${size}`)
  const before = await bytesHeld()
  for (let i = 20; i < 300; i += 1) await ask({}, `/box/${i}/${size}`)
  // 140 MB have gone by; a part of what is there is not the cache's.
  const grown = (await bytesHeld()) - before
  assert.ok(grown < 32 * MB, `${Math.round(grown / MB)} MB`)
  let hits = 0
  for (let i = 260; i < 300; i += 1) if (status(await ask({}, `/box/${i}/${size}`)).startsWith('hit')) hits += 1
  assert.ok(hits * size <= maxSize, `${hits} are kept`)
})

test('what callers said in fields that an answer varies by counts as well', async t => {
  const { ask } = await startCached(t, {
    cache: { maxSize: MB },
    resource: (_, response) => give(response, '{}', { vary: 'accept-language, prefer' }),
  })
  const prefer = 'x'.repeat(10_000)
  for (let i = 0; i < 150; i += 1) await ask({ prefer }, `/box/${i}`)
  let hits = 0
  for (let i = 0; i < 150; i += 1)
    if (status(await ask({ prefer, 'cache-control': 'only-if-cached' }, `/box/${i}`)).startsWith('hit')) hits += 1
  assert.ok(hits > 50 && hits * prefer.length <= MB, `${hits} are kept`)
})

test('a configuration without a cache, or without the appliance, gives the memory back', async t => {
  for (const appliancesOf of [keptWithout, none]) {
    const before = await startCached(t, { resource: sized, overrides: { rewriteLinks: false } })
    const [appliance] = before.server.configuration.appliances
    assert.ok(appliance)
    const next = { ...before.server.configuration, appliances: appliancesOf(appliance) }
    const { url, server } = await startProxy(t, [appliance], { load: async () => next })
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    for (let i = 0; i < 40; i += 1) await get(url, `/box/${i}/1000000`)
    const full = await bytesHeld()
    await server.reload()
    await eventually('it is given back', async () => full - (await bytesHeld()) > 35_000_000)
  }
})

function keptWithout(appliance: ApplianceConfiguration): ApplianceConfiguration[] {
  return [{ ...appliance, cache: undefined }]
}

function none(): ApplianceConfiguration[] {
  return []
}

test('answers that are arriving take no more than maxSize together; those beyond are passed on and not kept', async t => {
  const { answers, come, ask, url, count } = await startWaiting(t, { cache: { ttl: 10_000, maxSize: MB } })
  const size = 500_000
  const replies: IncomingMessage[] = []
  for (const nth of [1, 2, 3]) {
    const opening = open(url, { path: `/box/${nth}` })
    await come(nth)
    answers[nth - 1]?.writeHead(200, { 'content-type': 'application/json' })
    answers[nth - 1]?.write(Buffer.alloc(size, '1'))
    const reply = await opening
    let got = 0
    reply.on('data', piece => {
      got += piece.length
    })
    await eventually(`what there is of answer ${nth}`, () => got === size)
    replies.push(reply)
  }
  for (const response of answers) response.end()
  await eventually('all have ended', () => replies.every(reply => reply.complete))
  const third = ask({}, '/box/3')
  await come(4)
  give(answers[3])
  assert.equal(status(await third), 'fwd=uri-miss; stored')
  for (const nth of [1, 2]) {
    const { body, raw } = await ask({}, `/box/${nth}`)
    assert.deepEqual([body.length, status({ raw })], [size, 'hit; ttl=10'])
  }
  assert.equal(count(), 4)
})
