import type { Appliance } from '../appliance.ts'

export interface Readiness {
  ready: boolean
  /** Names of the appliances that have no session. */
  missing: string[]
}

/** Ready means: a request to any appliance would find a session. */
export function readiness(appliances: Iterable<Appliance>): Readiness {
  const missing = [...appliances].filter(({ session }) => session.current() === undefined).map(({ name }) => name)
  return { ready: missing.length === 0, missing }
}
