import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'

const FOLDER = new URL('./assets/', import.meta.url)

const types: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

export interface Asset {
  type: string
  body: Buffer
}

/** What the page loads, read once; `prefix` changes with every byte of it, so that browsers may keep it for good. */
export function readAssets(): { prefix: string; files: ReadonlyMap<string, Asset> } {
  const hash = createHash('sha256')
  const files = new Map<string, Asset>()
  for (const name of readdirSync(FOLDER).sort()) {
    const type = types[name.slice(name.lastIndexOf('.') + 1)]
    if (type === undefined) continue
    const body = readFileSync(new URL(name, FOLDER))
    hash.update(name).update(body)
    files.set(name, { type, body })
  }
  return { prefix: `/-/page/${hash.digest('hex').slice(0, 12)}`, files }
}
