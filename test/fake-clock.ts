import type { Clock } from '../src/session/clock.ts'

interface Timer {
  at: number
  callback: () => void
}

/** What Node's own timers hold; anything longer fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Time that stands still until a test moves it, in every way in which a machine's time moves. */
export class FakeClock implements Clock {
  /** Seeds: the same number, the same chance. */
  random: () => number
  /** Milliseconds that each timer was asked for. */
  readonly asked: number[] = []
  readonly #timers = new Set<Timer>()
  #monotonic = 5_000
  #offset = Date.UTC(2026, 0, 15)

  constructor(seed = 1) {
    this.random = chance(seed)
  }

  wall(): number {
    return Math.floor(this.#offset + this.#monotonic)
  }

  monotonic(): number {
    return this.#monotonic
  }

  timer(milliseconds: number, callback: () => void): () => void {
    this.asked.push(milliseconds)
    const kept = milliseconds >= 1 && milliseconds <= LONGEST_TIMER ? milliseconds : 1
    const timer = { at: this.#monotonic + kept, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#timers.size
  }

  /** Milliseconds until the next timer fires; Infinity when none waits. */
  get nextTimer(): number {
    return Math.min(...[...this.#timers].map(({ at }) => at)) - this.#monotonic
  }

  /** Lets time pass: both clocks run, timers fire in their order, and what they begin goes as far as it can. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#monotonic + milliseconds
    await settled()
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#monotonic = timer.at
      this.#timers.delete(timer)
      timer.callback()
      await settled()
    }
    this.#monotonic = end
    await settled()
  }

  /** Somebody sets the wall clock, by so many milliseconds forward or back. */
  set(by: number): void {
    this.#offset += by
  }

  /** The machine is suspended, as Linux does it: only the wall clock goes on, and no timer fires. */
  sleep(milliseconds: number): void {
    this.#offset += milliseconds
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) if (timer.at <= end && timer.at < (first?.at ?? Infinity)) first = timer
    return first
  }
}

/** Resolves when everything that waits for promises only has gone as far as it can. */
export function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Numbers in [0, 1) that look like chance and are the same for the same seed (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
