import type { FailureCode } from '../errors.ts'

/** What the metrics read of a request that has ended. */
export interface Counted {
  failure: FailureCode | undefined
  fromUpstream: boolean
  /** Milliseconds. */
  duration: number
  bytesUp: number
  bytesDown: number
  rejections: number
  replayed: boolean
  cache: string | undefined
}

/** Any other counts as `other`: a caller must not be able to make series. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const
const OTHER = METHODS.length - 1
const methodIndex = new Map<string, number>(METHODS.map((method, index) => [method, index]))

export const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const
export const SOURCES = ['upstream', 'proxy'] as const

/** Seconds: upper bounds, each about twice the one before, from a cached answer to the longest report. */
export const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const

/**
 * What was counted for one appliance. Requests only add to numbers here, which costs them next to nothing; the series
 * are made of these when somebody asks for them.
 */
export class Tally {
  readonly #counts = new Float64Array(METHODS.length * CLASSES.length * SOURCES.length)
  readonly durations = { upstream: new Durations(), proxy: new Durations() }
  bytesUp = 0
  bytesDown = 0
  rejections = 0
  replays = 0
  readonly failures = new Map<FailureCode, number>()
  readonly cache = new Map<string, number>()
  /** By grant, result and reason. */
  readonly grants = new Map<string, { grant: string; result: string; reason: string; times: number }>()

  request(method: string, status: number, account: Counted): void {
    const { failure, fromUpstream, duration, bytesUp, bytesDown, rejections, replayed, cache } = account
    const source = fromUpstream ? 0 : 1
    // An appliance may answer with a status of no class that HTTP knows.
    const statusClass = Math.min(CLASSES.length, Math.max(1, Math.floor(status / 100))) - 1
    const at = slot(methodIndex.get(method) ?? OTHER, statusClass, source)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.durations[SOURCES[source]].add(duration / 1000)
    this.bytesUp += bytesUp
    this.bytesDown += bytesDown
    this.rejections += rejections
    if (replayed) this.replays += 1
    if (failure !== undefined) this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1)
    if (cache !== undefined) this.cache.set(cache, (this.cache.get(cache) ?? 0) + 1)
  }

  grant(grant: string, result: string, reason: string): void {
    const key = `${grant} ${result} ${reason}`
    const known = this.grants.get(key)
    if (known === undefined) this.grants.set(key, { grant, result, reason, times: 1 })
    else known.times += 1
  }

  *requests(): Iterable<{ method: string; status: string; source: string; times: number }> {
    for (const [m, method] of METHODS.entries()) {
      for (const [c, status] of CLASSES.entries()) {
        for (const [s, source] of SOURCES.entries()) {
          const times = this.#counts[slot(m, c, s)] ?? 0
          if (times > 0) yield { method, status, source, times }
        }
      }
    }
  }
}

/** How long requests took. */
export class Durations {
  /** By bound, not added up; the last is of those beyond every bound. */
  readonly counts = new Float64Array(BOUNDS.length + 1)
  seconds = 0

  add(seconds: number): void {
    let at = 0
    while (at < BOUNDS.length && seconds > (BOUNDS[at] ?? 0)) at += 1
    this.counts[at] = (this.counts[at] ?? 0) + 1
    this.seconds += seconds
  }
}

function slot(method: number, statusClass: number, source: number): number {
  return (method * CLASSES.length + statusClass) * SOURCES.length + source
}
