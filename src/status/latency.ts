/** Lower bound of the first bucket in milliseconds, and by how much each is wider than the one before. */
const FIRST = 0.5
const GROWTH = 1.25
/** From half a millisecond to nearly a minute; what lies outside counts as the nearest. */
export const latencyBuckets = 52
const PER_BUCKET = 1 / Math.log(GROWTH)

/** Adds one to the histogram that begins at the given place. */
export function record(counts: Uint32Array, from: number, milliseconds: number): void {
  const bucket = Math.floor(Math.log(milliseconds / FIRST) * PER_BUCKET)
  const place = from + Math.min(latencyBuckets - 1, Math.max(0, bucket))
  counts[place] = (counts[place] ?? 0) + 1
}

/**
 * Milliseconds that the given share of all took at most, right to within a quarter; undefined where there are none.
 * @param counts any number of histograms, one behind the other
 */
export function latencyShare(counts: Uint32Array, share: number): number | undefined {
  const sums = new Float64Array(latencyBuckets)
  let total = 0
  for (let i = 0; i < counts.length; i += 1) {
    const count = counts[i] ?? 0
    const bucket = i % latencyBuckets
    sums[bucket] = (sums[bucket] ?? 0) + count
    total += count
  }
  if (total === 0) return undefined
  let below = 0
  for (let bucket = 0; bucket < latencyBuckets; bucket += 1) {
    const count = sums[bucket] ?? 0
    if (count > 0 && below + count >= share * total) return FIRST * GROWTH ** (bucket + (share * total - below) / count)
    below += count
  }
  return FIRST * GROWTH ** latencyBuckets
}
