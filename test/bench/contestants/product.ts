import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../processes.ts'
import type { Site } from '../site.ts'
import type { Running } from './contestant.ts'

export interface Build {
  /** Of its process; letters, digits and hyphens. */
  name: string
  /** Lines for every appliance of the configuration, beside those that any needs. */
  appliance?: readonly string[]
  /** More arguments for `serve`. */
  args?: readonly string[]
  /** Arguments for Node.js itself. */
  node?: readonly string[]
}

/** As many as the target for memory names. */
const NAMES = ['box', 'box-2', 'box-3']

/** Starts the product in front of the upstream, from its built files, with three appliances configured. */
export async function startProduct(
  site: Site,
  { name, appliance = [], args = [], node = [] }: Build,
): Promise<Running> {
  const { processes, upstream, folder, main } = site
  const port = await freePort()
  const file = join(folder, `${name}.yaml`)
  const lines = [...entry(upstream.origin, `{ ca: ${upstream.ca} }`, 'any'), ...appliance]
  writeConfiguration(file, port, NAMES, lines)
  const started = processes.start('proxy', name, [process.execPath, ...node, main, 'serve', '--config', file, ...args])
  return { ...started, url: `http://127.0.0.1:${port}/box` }
}

export function entry(url: string, tls: string, password: string): string[] {
  return [
    'product: azure',
    `url: ${url}`,
    `credentials: { username: Administrator, password: ${JSON.stringify(password)} }`,
    `tls: ${tls}`,
  ]
}

export function writeConfiguration(
  file: string,
  port: number,
  names: readonly string[],
  lines: readonly string[],
): void {
  const appliances = names.map(name => [`  ${name}:`, ...lines.map(line => `    ${line}`)].join('\n'))
  const text = `listen: 127.0.0.1:${port}\nappliances:\n${appliances.join('\n')}\n`
  writeFileSync(file, text, { mode: 0o600 })
}

/** Whether the configuration of this build has a key, at the top or for an appliance. */
export async function knowsKey({ processes, main }: Site, key: string): Promise<boolean> {
  const printed = await processes.run('load', [process.execPath, main, 'schema'], 10_000)
  return describes(JSON.parse(printed), key)
}

function describes(schema: unknown, key: string): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  const { properties } = { properties: undefined, ...schema }
  if (typeof properties === 'object' && properties !== null && key in properties) return true
  return Object.values(schema).some(part => describes(part, key))
}
