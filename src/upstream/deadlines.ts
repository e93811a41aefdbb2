/** Something that has to begin within a time. */
export interface Awaited {
  /** Called once when it has not. */
  expire(): void
}

/** Milliseconds between two looks, as a share of the time that is allowed. */
const GRAIN = 8

/**
 * Ends what does not begin in time. undici starts its own timer anew with every byte and every interim answer, so that
 * an appliance could go on for ever. One timer serves all that wait: the first to come is the first to be due.
 */
export class Deadlines {
  readonly #time: number
  readonly #due = new Map<Awaited, number>()
  #timer: NodeJS.Timeout | undefined

  /** @param time in milliseconds */
  constructor(time: number) {
    this.#time = time
  }

  add(awaited: Awaited): void {
    this.#due.set(awaited, performance.now() + this.#time)
    this.#timer ??= setInterval(() => this.#look(), Math.max(10, this.#time / GRAIN)).unref()
  }

  delete(awaited: Awaited): void {
    this.#due.delete(awaited)
  }

  #look(): void {
    const now = performance.now()
    for (const [awaited, due] of this.#due) {
      if (due > now) break
      this.#due.delete(awaited)
      awaited.expire()
    }
    if (this.#due.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
