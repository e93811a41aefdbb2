import { Chain, Link } from '../chain.ts'

/** Something that has to begin within a time. */
export abstract class Awaited extends Link {
  /** On the clock of `performance.now()`. */
  due = 0

  /** Called once when it has not. */
  abstract expire(): void
}

/** Milliseconds between two looks, as a share of the time that is allowed. */
const GRAIN = 8

/**
 * Ends what does not begin in time. undici starts its own timer anew with every byte and every interim answer, so that
 * an appliance could go on for ever. One timer serves all that wait: the first to come is the first to be due.
 */
export class Deadlines {
  readonly #time: number
  readonly #awaited = new Chain<Awaited>()
  #timer: NodeJS.Timeout | undefined

  /** @param time in milliseconds */
  constructor(time: number) {
    this.#time = time
  }

  add(awaited: Awaited): void {
    awaited.due = performance.now() + this.#time
    this.#awaited.add(awaited)
    this.#timer ??= setInterval(() => this.#look(), Math.max(10, this.#time / GRAIN)).unref()
  }

  delete(awaited: Awaited): void {
    this.#awaited.delete(awaited)
  }

  #look(): void {
    const now = performance.now()
    for (let { first } = this.#awaited; first !== undefined && first.due <= now; { first } = this.#awaited) {
      this.#awaited.delete(first)
      first.expire()
    }
    if (this.#awaited.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
