import type { Contestant } from './contestant.ts'

/** Measured by `round.ts` from the inside: it is its own load. */
export const tlsClient: Contestant = {
  name: 'undici TLS client',
  kind: 'client',
  available: () => undefined,
  start: () => Promise.reject(new Error('it is no server')),
}
