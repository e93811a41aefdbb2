import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ConfigurationError, readConfiguration } from '../src/config/configuration.ts'
import { MB } from './cache-rig.ts'
import { type Folder, temporaryFolder } from './configuration-folder.ts'

function written(folder: Folder, cache: string): string {
  const lines = ['product: azure', 'url: https://a', 'credentials: { username: a, password: b }', `cache: ${cache}`]
  return folder.write('appliances.yaml', `appliances:\n  box:\n${lines.map(line => `    ${line}\n`).join('')}`)
}

async function cacheOf(folder: Folder, text: string) {
  const { appliances } = await readConfiguration(written(folder, text), {})
  return appliances[0]?.cache
}

test('a cache that says nothing more is one of 10 s and 64 MB, for all paths, that gives nothing stale', async t => {
  const folder = temporaryFolder(t)
  const cache = await cacheOf(folder, '{}')
  assert.deepEqual(cache, { ttl: 10_000, maxSize: 64 * MB, paths: undefined, staleIfError: 0 })
})

test('everything of a cache can be said', async t => {
  const folder = temporaryFolder(t)
  const cache = await cacheOf(folder, '{ ttl: 0s, maxSize: 1MB, paths: [/v8/Jobs/**, /x], staleIfError: 5m }')
  assert.deepEqual([cache?.ttl, cache?.maxSize, cache?.staleIfError], [0, MB, 300_000])
  const named = ['/v8/jobs', '/v8/jobs/1/2', '/x', '/v8'].map(path => cache?.paths?.(path))
  assert.deepEqual(named, [true, true, true, false])
})

describe('a mistake in a cache is told with its place and its remedy', () => {
  const rows: Record<string, { cache: string; at: string; path: string; message: RegExp }> = {
    'a time without a unit': { cache: '{ ttl: 10 }', at: '6:19', path: 'ttl', message: /in quotes.*such as 10s/ },
    'a time in another unit': { cache: '{ ttl: 1d }', at: '6:19', path: 'ttl', message: /does not fit.*such as 10s/ },
    'a size without a unit': { cache: "{ maxSize: '64' }", at: '6:23', path: 'maxSize', message: /such as 64MB/ },
    'a size in which no answer fits': {
      cache: '{ maxSize: 512KB }',
      at: '6:23',
      path: 'maxSize',
      message: /a single answer would not fit in\. Write 1MB or more/,
    },
    'no paths': { cache: '{ paths: [] }', at: '6:21', path: 'paths', message: /is empty/ },
    'a pattern that cannot be read': {
      cache: '{ paths: [/a/**/b] }',
      at: '6:21',
      path: 'paths',
      message: /\*\* can be the last segment only.*Write it as/,
    },
    'a pattern that is none': { cache: '{ paths: [Jobs] }', at: '6:21', path: 'paths', message: /begins with \// },
    'a key in another spelling': {
      cache: '{ staleIfErorr: 5m }',
      at: '6:14',
      path: 'staleIfErorr',
      message: /Did you mean "staleIfError"\?/,
    },
    'a stale time without a unit': {
      cache: '{ staleIfError: 60 }',
      at: '6:28',
      path: 'staleIfError',
      message: /in quotes.*such as 60s/,
    },
  }
  for (const [what, { cache, at, path, message }] of Object.entries(rows)) {
    test(what, async t => {
      const folder = temporaryFolder(t)
      const file = written(folder, cache)
      await assert.rejects(readConfiguration(file, {}), error => {
        assert.ok(error instanceof ConfigurationError)
        const [mistake, ...others] = error.mistakes
        assert.deepEqual(others, [])
        assert.equal(mistake?.place, `${file}:${at}`)
        assert.equal(mistake.path, `appliances.box.cache.${path}`)
        assert.match(`${mistake.message}. ${mistake.remedy}`, message)
        return true
      })
    })
  }

  test('no map at all', async t => {
    const folder = temporaryFolder(t)
    for (const cache of ['10s', 'true']) {
      await assert.rejects(
        cacheOf(folder, cache),
        /appliances\.box\.cache: this is not a map of keys and values\. Expected: .*ttl/,
      )
    }
  })
})
