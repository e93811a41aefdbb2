import { fileURLToPath } from 'node:url'
import type { Processes } from './processes.ts'
import type { Upstream } from './upstream.ts'

/** Milliseconds, bytes and connections of one round. */
export interface Scale {
  warmUp: number
  saturation: number
  large: number
  steady: number
  /** Bytes of the stream, each way. */
  stream: number
}

export const CONNECTIONS = 64
export const STEADY_RATE = 500
export const APPLIANCES = 1_000

export const full: Scale = { warmUp: 2_000, saturation: 6_000, large: 3_000, steady: 8_000, stream: 2 ** 30 }
export const quick: Scale = { warmUp: 1_000, saturation: 2_000, large: 1_000, steady: 2_500, stream: 2 ** 27 }

/** What a contestant needs to know to take part. */
export interface Site {
  processes: Processes
  upstream: Upstream
  /** A folder for configuration files, removed at the end. */
  folder: string
  /** The built product: its main.js. */
  main: string
  scale: Scale
}

/** A program of the benchmark, in plain JavaScript, so that no loader is in the process that is measured. */
export function program(name: string): string {
  return fileURLToPath(new URL(`programs/${name}`, import.meta.url))
}

/** Why an npm package cannot be used, undefined when it can. */
export function missingPackage(name: string): string | undefined {
  try {
    import.meta.resolve(name)
    return undefined
  } catch {
    return `not installed: the npm package ${name}`
  }
}
