import type { CacheConfiguration } from '../config/cache.ts'
import type { Clock, Moment } from '../session/clock.ts'
import { momentIn } from '../session/clock.ts'
import type { AnswerHead } from './answer-head.ts'
import { type Freshness, freshnessOf, isShareable, LARGEST } from './freshness.ts'

const NO_BODY = Buffer.alloc(0)

/** Room for answers that are arriving, in bytes: all of them together take no more than may be kept. */
export class Room {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  free(bytes: number): void {
    this.#left += bytes
  }
}

interface Parts {
  head: AnswerHead
  clock: Clock
  /** On the monotonic clock: when it was asked for. */
  asked: number
  configuration: CacheConfiguration
  room: Room
}

/** What there is so far of an answer that may be for more than one. */
export class ArrivingAnswer {
  readonly head: AnswerHead
  readonly since: Moment
  readonly freshness: Freshness
  readonly #room: Room
  #pieces: Buffer[] = []
  #size = 0

  constructor({ head, clock, asked, configuration, room }: Parts) {
    this.head = head
    this.since = momentIn(clock, 0)
    this.freshness = freshnessOf(head, clock.monotonic() - asked, configuration)
    this.#room = room
  }

  /** As far as its head tells. */
  get isShareable(): boolean {
    return isShareable(this.head)
  }

  /** Whether it is good for anything once those who wait for it have got it. */
  get isWorthKeeping(): boolean {
    const { life, grace } = this.freshness
    return this.head.status === 200 && life + grace > 0
  }

  /** Whether it tells that there is something else now than there was, or nothing. */
  get supersedes(): boolean {
    const { status } = this.head
    return status < 400 || status === 404 || status === 410
  }

  get pieces(): readonly Buffer[] {
    return this.#pieces
  }

  /** @returns false when it has become too large, and the piece is not taken */
  take(piece: Buffer): boolean {
    if (this.#size + piece.length >= LARGEST || !this.#room.take(piece.length)) return false
    this.#size += piece.length
    this.#pieces.push(piece)
    return true
  }

  /** The body in memory of its own: each piece is part of a larger one that came over the connection. */
  whole(): Buffer {
    if (this.#size === 0) return NO_BODY
    const body = Buffer.allocUnsafeSlow(this.#size)
    let at = 0
    for (const piece of this.#pieces) at += piece.copy(body, at)
    return body
  }

  letGo(): void {
    this.#room.free(this.#size)
    this.#size = 0
    this.#pieces = []
  }
}
