import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, test } from 'node:test'
import { deflateSync, gzipSync } from 'node:zlib'
import { cacheFor10s } from './cache-rig.ts'
import { get } from './caller.ts'
import { applianceAt, type Context, eventually, type Overrides, startProxy } from './rig.ts'
import { startScripted } from './scripted-appliance.ts'

/** An appliance that begins its nth answer, from 1, as told; one that is not ended there never ends. */
async function startEndless(t: Context, begin: (response: ServerResponse, nth: number) => void, overrides?: Overrides) {
  let nth = 0
  let cut = 0
  const scripted = await startScripted(t, {
    resource(_, response) {
      nth += 1
      begin(response, nth)
      if (response.writableEnded) return
      const timer = setInterval(() => {
        while (response.writableLength < 200_000) response.write(Buffer.alloc(65_536, 1))
      }, 2)
      response.on('close', () => {
        clearInterval(timer)
        cut += 1
      })
    },
  })
  const { url } = await startProxy(t, [applianceAt(scripted, 'azure', overrides)])
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { url, cut: () => cut }
}

describe('the appliance need not go on', { concurrency: 4 }, () => {
  for (const cache of [undefined, cacheFor10s]) {
    const where = cache === undefined ? 'without a cache' : 'with a cache'
    const json = { 'content-type': 'application/json' }

    test(`with a body that cannot be decoded, ${where}`, async t => {
      const begin = (response: ServerResponse) => {
        response.writeHead(200, { ...json, 'content-encoding': 'gzip' })
        response.write(gzipSync('{}').subarray(0, 12))
        response.write('this is no gzip')
      }
      const { url, cut } = await startEndless(t, begin, { cache })
      await assert.rejects(get(url, '/box/x'))
      await eventually('its answer is given up', () => cut() === 1)
    })

    test(`with bytes behind the end of what was encoded, ${where}`, async t => {
      const begin = (response: ServerResponse) => {
        response.writeHead(200, { ...json, 'content-encoding': 'deflate' })
        response.write(deflateSync('{"a":1}'))
      }
      const { url, cut } = await startEndless(t, begin, { cache })
      assert.equal((await get(url, '/box/x')).text, '{"a":1}')
      await eventually('its answer is given up', () => cut() === 1)
    })

    test(`with a 401 in the place of which another answer came, ${where}`, async t => {
      const begin = (response: ServerResponse, nth: number) => {
        if (nth > 1) response.end('{}')
        else response.writeHead(401)
      }
      const { url, cut } = await startEndless(t, begin, { cache })
      assert.deepEqual([(await get(url, '/box/x')).status, (await get(url, '/box/y')).status], [200, 200])
      await eventually('its answer is given up', () => cut() === 1)
    })
  }
})
