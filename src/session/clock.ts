import { performance } from 'node:perf_hooks'

/** Time and chance, so that a test can set both. */
export interface Clock {
  /** Epoch milliseconds: jumps when somebody sets the clock, and counts while the machine sleeps. */
  wall(): number
  /** Milliseconds from an arbitrary start: never jumps, but stands still while Linux sleeps. */
  monotonic(): number
  /** In [0, 1). */
  random(): number
  /** Calls back once after the given milliseconds; returns what cancels it. */
  timer(milliseconds: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  timer(milliseconds, callback) {
    const timeout = setTimeout(callback, milliseconds)
    return () => clearTimeout(timeout)
  },
}

/** A point in time on both clocks. Neither alone survives sleep and a set clock, so whichever comes first counts. */
export interface Moment {
  wall: number
  monotonic: number
}

export function momentIn(clock: Clock, milliseconds: number): Moment {
  return { wall: clock.wall() + milliseconds, monotonic: clock.monotonic() + milliseconds }
}

/** Milliseconds until the moment on the clock that reaches it first; 0 or less once it is reached. */
export function until(clock: Clock, moment: Moment): number {
  return Math.min(moment.wall - clock.wall(), moment.monotonic - clock.monotonic())
}
