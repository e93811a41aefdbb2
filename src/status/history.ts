import type { FailureCode } from '../errors.ts'
import { Latencies } from './latency.ts'

/** Milliseconds that one slot spans, and how many slots there are: a quarter of an hour. */
export const SLOT = 15_000
export const SLOTS = 60
/** Slots that tell how much goes on now: a minute. */
const RECENT = 4

/** A segment of the path such as `v8` or `v8.1`. */
const VERSION = /^[^?]*?\/(v\d[\w.]*)(?=[/?]|$)/i

/** What became of a request. */
export interface Outcome {
  /** Name of the appliance; undefined for the proxy's own pages. */
  appliance: string | undefined
  /** The answer is the appliance's own. */
  fromUpstream: boolean
  /** Why the proxy answered itself, or broke the answer off. */
  failure: FailureCode | undefined
  /** Milliseconds until the appliance's answer began; undefined where it gave none. */
  firstByte: number | undefined
  /** Path and query, as the appliance got them. */
  path: string
}

/** The last request that failed. `at` is in epoch milliseconds. */
export interface Trouble {
  at: number
  status: number
  failure: FailureCode | undefined
}

/** The last fifteen minutes. */
export interface Traffic {
  /** Requests in each slot, oldest first, and how many of those failed. */
  requests: readonly number[]
  failed: readonly number[]
  /** Share of the newest slot that has gone by. */
  elapsed: number
  /** Within the last minute. */
  perSecond: number
  /** Of all requests, 0 to 1. */
  failedShare: number
  /** Milliseconds until answers began; undefined where there were none. */
  p50: number | undefined
  p99: number | undefined
  trouble: Trouble | undefined
  /** Of the API, as the last path that was answered well has it. */
  version: string | undefined
}

const none: readonly number[] = Array<number>(SLOTS).fill(0)
const quiet: Traffic = {
  requests: none,
  failed: none,
  elapsed: 0,
  perSecond: 0,
  failedShare: 0,
  p50: undefined,
  p99: undefined,
  trouble: undefined,
  version: undefined,
}

/**
 * What went on at each appliance in the last fifteen minutes, in a fixed amount of memory and for a few additions a
 * request.
 */
export class History {
  readonly #now: () => number
  readonly #tracks = new Map<string, Track>()

  /** @param now in milliseconds, never running backwards */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Notes a request that has ended. Those that were denied, and those whose caller left, were nobody's failure. */
  record(outcome: Outcome, status: number): void {
    const { appliance } = outcome
    if (appliance === undefined || (!outcome.fromUpstream && status < 500)) return
    let track = this.#tracks.get(appliance)
    if (track === undefined) {
      track = new Track()
      this.#tracks.set(appliance, track)
    }
    track.record(this.#slot, outcome, status)
  }

  trafficOf(appliance: string): Traffic {
    return this.#tracks.get(appliance)?.summary(this.#slot, this.#now() % SLOT) ?? quiet
  }

  /** Lets go of appliances that are not configured any more. */
  keepOnly(appliances: ReadonlyMap<string, unknown>): void {
    for (const name of this.#tracks.keys()) if (!appliances.has(name)) this.#tracks.delete(name)
  }

  get #slot(): number {
    return Math.floor(this.#now() / SLOT)
  }
}

/** One appliance. Slots are counted from the clock's start; each has its place in the ring. */
class Track {
  readonly #requests = new Uint32Array(SLOTS)
  readonly #failed = new Uint32Array(SLOTS)
  readonly #latencies = new Latencies(SLOTS)
  #newest = 0
  #trouble: Trouble | undefined
  /** The last that was answered well. */
  #path = ''

  record(slot: number, { fromUpstream, failure, firstByte, path }: Outcome, status: number): void {
    this.#advance(slot)
    const place = slot % SLOTS
    const isFailed = status >= 500 || failure !== undefined
    this.#requests[place] = (this.#requests[place] ?? 0) + 1
    if (isFailed) {
      this.#failed[place] = (this.#failed[place] ?? 0) + 1
      this.#trouble = { at: Date.now(), status, failure }
    }
    if (fromUpstream && firstByte !== undefined) this.#latencies.add(place, firstByte)
    if (fromUpstream && status < 300) this.#path = path
  }

  /** @param elapsed milliseconds of the slot that have gone by */
  summary(slot: number, elapsed: number): Traffic {
    this.#advance(slot)
    const oldestFirst = (ring: Uint32Array) =>
      Array.from({ length: SLOTS }, (_, i) => ring[(slot + 1 + i) % SLOTS] ?? 0)
    const requests = oldestFirst(this.#requests)
    const failed = oldestFirst(this.#failed)
    const total = sum(requests)
    const span = (RECENT - 1) * SLOT + elapsed
    return {
      requests,
      failed,
      elapsed: elapsed / SLOT,
      perSecond: (sum(requests.slice(-RECENT)) / span) * 1000,
      failedShare: total === 0 ? 0 : sum(failed) / total,
      p50: this.#latencies.share(0.5),
      p99: this.#latencies.share(0.99),
      trouble: this.#trouble !== undefined && sum(failed) > 0 ? this.#trouble : undefined,
      version: VERSION.exec(this.#path)?.[1],
    }
  }

  /** Clears what is older than the ring is long. */
  #advance(slot: number): void {
    for (let next = Math.max(this.#newest + 1, slot - SLOTS + 1); next <= slot; next += 1) {
      const place = next % SLOTS
      this.#requests[place] = 0
      this.#failed[place] = 0
      this.#latencies.clear(place)
    }
    this.#newest = slot
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
