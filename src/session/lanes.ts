import pLimit from 'p-limit'
import type { Gate } from './session.ts'

/** Sixteen in all. */
const FIRST = 12
const AGAIN = 4

/**
 * Sign-ins take turns: a thousand appliances must not all be asked at once. Those whose last attempt failed have places
 * of their own, so that dead appliances keep none of the others waiting.
 */
export function lanes(): Gate {
  const places = { first: pLimit(FIRST), again: pLimit(AGAIN) }
  return (work, lane) => places[lane](work)
}
