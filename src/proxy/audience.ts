import type { Forwarding } from './cache-status.ts'
import type { Forwarded } from './forward.ts'
import type { Wishes } from './wishes.ts'

/** A request that the cache had no answer for. */
export interface Asking extends Forwarded {
  key: string
  wishes: Wishes
  why: Forwarding
}

/** Whom an answer is for: one who gets it as it comes, perhaps, and those who wait until it is whole. */
export class Audience {
  streaming: Asking | undefined
  readonly waiting = new Set<Asking>()
  readonly #deserted: () => void

  /** @param deserted called when the last one has left */
  constructor(deserted: () => void) {
    this.#deserted = deserted
  }

  get isEmpty(): boolean {
    return this.streaming === undefined && this.waiting.size === 0
  }

  get everybody(): Asking[] {
    return this.streaming === undefined ? [...this.waiting] : [this.streaming, ...this.waiting]
  }

  /** Notices when one of them hangs up. */
  watch(asking: Asking): void {
    if (asking.response.closed) this.#left(asking)
    else asking.response.once('close', () => this.#left(asking))
  }

  remove(asking: Asking): void {
    this.waiting.delete(asking)
    if (this.streaming === asking) this.streaming = undefined
  }

  #left(asking: Asking): void {
    this.remove(asking)
    if (this.isEmpty) this.#deserted()
  }
}
