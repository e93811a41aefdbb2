import { type Clock, type Moment, momentIn } from './clock.ts'
import type { SignInMemory } from './kept.ts'

const HOUR = 3_600_000
const MOST = 2

interface Refusal {
  at: Moment
  /** Stands for the secret that was refused; empty where every attempt counts alike. */
  secret: string
}

/**
 * What keeps an account from being locked: the same secret is put to an appliance no more than twice an hour in vain.
 * The hour is the monotonic clock's, so that setting the other one changes nothing.
 */
export class Refusals {
  readonly #clock: Clock
  #refusals: Refusal[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(secret = ''): void {
    this.#refusals.push({ at: momentIn(this.#clock, 0), secret })
  }

  /** Milliseconds until another attempt is allowed; 0 when it is now. */
  wait(secret = ''): number {
    this.#refusals = this.#refusals.filter(refusal => this.#left(refusal) > 0)
    const same = this.#refusals.filter(refusal => refusal.secret === secret)
    const oldest = same.at(-MOST)
    return oldest === undefined ? 0 : this.#left(oldest)
  }

  toKept(): SignInMemory['refusedSecrets'] {
    const { wall, monotonic } = momentIn(this.#clock, 0)
    return this.#refusals.map(({ at, secret }) => ({ at: wall - (monotonic - at.monotonic), secret }))
  }

  restore(kept: SignInMemory['refusedSecrets']): void {
    this.#refusals = kept.map(({ at, secret }) => ({
      at: momentIn(this.#clock, Math.min(0, at - this.#clock.wall())),
      secret,
    }))
  }

  #left({ at }: Refusal): number {
    return Math.max(0, HOUR - (this.#clock.monotonic() - at.monotonic))
  }
}
