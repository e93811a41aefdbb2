import { setImmediate as nextTurn } from 'node:timers/promises'

/** Turns of the event loop. Node.js takes one connection per turn out of the kernel's queue, and reads it in the next. */
const QUIET_TURNS = 3
/** Twice the longest queue of the kernel, so that callers who never cease to come hold nothing up. */
const MOST_TURNS = 1_022

/**
 * Waits until every connection that has reached this machine is accepted: closing before would reset it.
 * @param accepted how many there have been so far
 */
export async function takeQueued(accepted: () => number): Promise<void> {
  for (let turn = 0, quiet = 0; quiet < QUIET_TURNS && turn < MOST_TURNS; turn += 1) {
    const before = accepted()
    await nextTurn()
    quiet = accepted() === before ? quiet + 1 : 0
  }
}
