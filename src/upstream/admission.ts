import { Failure } from '../errors.ts'

/** How long a request may stand in the queue, in milliseconds: longer, and its caller is better told to come again. */
const LONGEST_QUEUE = 5_000
const RETRY_AFTER = 1_000

/**
 * At most so many requests under way at one appliance, and a short queue behind them. What is beyond both is turned
 * away at once, so that a slow appliance makes callers wait and not the process grow.
 */
export class Admission {
  readonly #most: number
  readonly #longestQueue: number
  readonly #queue = new Set<() => void>()
  #inFlight = 0

  constructor(most: number) {
    this.#most = most
    this.#longestQueue = Math.ceil(most / 4)
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Whether a place can be had without waiting. */
  get hasRoom(): boolean {
    return this.#inFlight < this.#most
  }

  /**
   * Takes a place, now or when one becomes free. Every place taken must be left.
   * @throws Failure OVERLOADED
   */
  enter(): void | Promise<void> {
    if (this.hasRoom) {
      this.#inFlight += 1
      return
    }
    if (this.#queue.size >= this.#longestQueue) throw this.#overloaded()
    return new Promise((resolve, reject) => {
      const admit = () => {
        clearTimeout(timeout)
        this.#inFlight += 1
        resolve()
      }
      const timeout = setTimeout(() => {
        this.#queue.delete(admit)
        reject(this.#overloaded())
      }, LONGEST_QUEUE)
      this.#queue.add(admit)
    })
  }

  leave(): void {
    this.#inFlight -= 1
    const [next] = this.#queue
    if (next === undefined) return
    this.#queue.delete(next)
    next()
  }

  #overloaded(): Failure {
    const detail = `${this.#inFlight} requests are under way at this appliance, and ${this.#queue.size} wait.`
    return new Failure('OVERLOADED', detail, { retryAfter: RETRY_AFTER })
  }
}
