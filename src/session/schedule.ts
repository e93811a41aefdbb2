/** Share of a session's life after which it is renewed, and how far either way chance may move that. */
const RENEWAL_SHARE = 0.75
const RENEWAL_JITTER = 0.05

const FIRST_DELAY = 1_000
const LONGEST_DELAY = 60_000
/** Full jitter, or a life of no length, can come out as nothing; this pause keeps an appliance from being hammered. */
export const SHORTEST_DELAY = 100

/** No timer waits longer: a tick notices a clock that was set or a machine that slept. */
export const TICK = 30_000

/** Milliseconds from the start of a session of `life` milliseconds to its renewal; `random` in [0, 1). */
export function renewalDelay(life: number, random: number): number {
  return life * (RENEWAL_SHARE + (random * 2 - 1) * RENEWAL_JITTER)
}

/**
 * Milliseconds to wait after the given number of failures in a row: full jitter under a bound that doubles from one
 * second to a minute, and never before what the appliance asked for with `Retry-After`.
 */
export function backoffDelay(failures: number, random: number, retryAfter = 0): number {
  const bound = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** Math.min(failures - 1, 16))
  return Math.max(SHORTEST_DELAY, random * bound + retryAfter)
}
