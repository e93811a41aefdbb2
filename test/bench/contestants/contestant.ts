import { freePort, type Started } from '../processes.ts'
import { program, type Site } from '../site.ts'

/** Something that serves the upstream's paths below `url`. */
export interface Running extends Started {
  url: string
  /** Processes that were started for it alone. */
  beside?: readonly number[]
}

/**
 * One row of the table.
 * - proxy: forwards to the upstream; everything is measured
 * - answering: only what concerns small answers is measured
 * - client: is its own load, and no server
 * - direct: nothing stands between the load and the upstream
 * - fleet: the product with as many appliances as it is to hold
 */
export interface Contestant {
  name: string
  kind: 'proxy' | 'answering' | 'client' | 'direct' | 'fleet'
  /** Why it does not take part, undefined when it does. */
  available(site: Site): string | undefined | Promise<string | undefined>
  /** Starts the process and does not wait for it. */
  start(site: Site): Promise<Running>
  /** The path of an answer that needs no upstream, below the origin of `url`; none when it has no such path. */
  ownPath?: string
}

/** Starts one of the benchmark's own programs; it is told the port to listen on. */
export async function startProgram(site: Site, name: string, parts: object = {}): Promise<Running> {
  const port = await freePort()
  const { origin, token, ca } = site.upstream
  const words = JSON.stringify({ port, origin, token, ca, ...parts })
  const started = site.processes.start('proxy', name, [process.execPath, program(`${name}.mjs`), words])
  return { ...started, url: `http://127.0.0.1:${port}` }
}
