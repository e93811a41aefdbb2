import type { Contestant } from './contestant.ts'

/** The latency that is there without any proxy. */
export const direct: Contestant = {
  name: 'direct',
  kind: 'direct',
  available: () => undefined,
  start: () => Promise.reject(new Error('there is nothing to start')),
}
