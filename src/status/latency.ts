/** Lower bound of the first bucket in milliseconds, and by how much each is wider than the one before. */
const FIRST = 0.5
const GROWTH = 1.25
/** From half a millisecond to nearly a minute; what lies outside counts as the nearest. */
const BUCKETS = 52
const PER_BUCKET = 1 / Math.log(GROWTH)

/** A histogram for each slot of a ring, and the sum of them all. */
export class Latencies {
  readonly #counts: Uint32Array
  readonly #sums = new Uint32Array(BUCKETS)

  constructor(slots: number) {
    this.#counts = new Uint32Array(slots * BUCKETS)
  }

  add(slot: number, milliseconds: number): void {
    const found = Math.floor(Math.log(milliseconds / FIRST) * PER_BUCKET)
    const bucket = Math.min(BUCKETS - 1, Math.max(0, found))
    const place = slot * BUCKETS + bucket
    this.#counts[place] = (this.#counts[place] ?? 0) + 1
    this.#sums[bucket] = (this.#sums[bucket] ?? 0) + 1
  }

  clear(slot: number): void {
    const cleared = this.#counts.subarray(slot * BUCKETS, (slot + 1) * BUCKETS)
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      this.#sums[bucket] = (this.#sums[bucket] ?? 0) - (cleared[bucket] ?? 0)
    }
    cleared.fill(0)
  }

  /** Milliseconds that the given share of all took at most, right to within a quarter; undefined where there are none. */
  share(share: number): number | undefined {
    const total = this.#sums.reduce((all, count) => all + count, 0)
    if (total === 0) return undefined
    let below = 0
    const bucket = this.#sums.findIndex(count => {
      if (count > 0 && below + count >= share * total) return true
      below += count
      return false
    })
    return FIRST * GROWTH ** (bucket + (share * total - below) / (this.#sums[bucket] ?? 1))
  }
}
