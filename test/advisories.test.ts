import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (name: string) => readFileSync(`${root}${name}`, 'utf8')

interface Locked {
  name: string
  version: string
  integrity: string
  dev: boolean
}

/** Every copy of every package in the lockfile. */
function locked(): Locked[] {
  const packages: Record<string, { version: string; integrity?: string; dev?: boolean }> = JSON.parse(
    read('package-lock.json'),
  ).packages
  return Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, { version, integrity = '', dev = false }]) => {
      return { name: path.replace(/^.*node_modules\//, ''), version, integrity, dev }
    })
}

const numbers = (version: string) => version.split('.').map(part => Number.parseInt(part, 10))

function isBelow(version: string, least: string): boolean {
  const [a, b] = [numbers(version), numbers(least)]
  const at = b.findIndex((part, i) => part !== a[i])
  return at !== -1 && (a[at] ?? 0) < (b[at] ?? 0)
}

test('every package that docs/advisories.md names an advisory of is locked at a version that is free of it', () => {
  const rows = [...read('docs/advisories.md').matchAll(/^\| (\S+) \| (\d[\d., ]*) \| ((?:CVE|GHSA)-.*) \|$/gm)]
  assert.ok(rows.length > 8, 'the table has been read')
  const copies = locked()
  for (const [, name, since = ''] of rows) {
    const found = copies.filter(copy => copy.name === name)
    assert.ok(found.length > 0, `${name} is not installed any more; take it out of docs/advisories.md`)
    for (const { version, dev } of found.filter(copy => !copy.dev)) {
      // One line of versions after another: the copy's own counts, or else the last.
      const lines = since.split(', ')
      const least = lines.find(line => numbers(line)[0] === numbers(version)[0]) ?? lines.at(-1) ?? ''
      assert.ok(!isBelow(version, least), `${name} ${version} is below ${least}${dev ? ' (dev)' : ''}`)
    }
  }
  assert.deepEqual(
    [isBelow('5.12.0', '5.12.1'), isBelow('5.12.1', '5.12.1'), isBelow('6.0.0', '5.12.1'), isBelow('4.99.9', '5.0.0')],
    [true, false, false, true],
  )
})

test('every package is locked with the hash of its contents', () => {
  const bare = locked().filter(({ integrity }) => !integrity.startsWith('sha512-'))
  assert.deepEqual(bare, [])
})

test('the SBOM that the script writes lists every package of production and no other', async () => {
  const { scripts, name, version } = JSON.parse(read('package.json'))
  const { stdout } = await promisify(execFile)(`${root}${scripts.sbom}`, { cwd: root, maxBuffer: 50_000_000 })
  const bom = JSON.parse(stdout)
  assert.equal(bom.bomFormat, 'CycloneDX')
  const { component } = bom.metadata
  assert.deepEqual([component.type, component.name, component.version], ['application', name, version])
  const listed = new Set<string>(bom.components.map((part: { purl: string }) => decodeURIComponent(part.purl)))
  const wanted = new Set(locked().flatMap(({ name, version, dev }) => (dev ? [] : [`pkg:npm/${name}@${version}`])))
  assert.deepEqual([...listed].sort(), [...wanted].sort())
})
