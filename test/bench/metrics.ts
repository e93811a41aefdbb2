/** Everything that is measured of a contestant, in the order of the table. */
export const metrics = {
  cpu: { title: 'CPU per 1 KB GET', unit: 'µs', digits: 1 },
  rate: { title: 'throughput, 1 KB', unit: 'req/s', digits: 0 },
  p50: { title: 'p50 at saturation', unit: 'ms', digits: 2 },
  p99: { title: 'p99 at saturation', unit: 'ms', digits: 2 },
  p999: { title: 'p99.9 at saturation', unit: 'ms', digits: 2 },
  largeCpu: { title: 'CPU per 64 KB GET', unit: 'µs', digits: 1 },
  largeRate: { title: 'throughput, 64 KB', unit: 'req/s', digits: 0 },
  steadyP50: { title: 'p50 at 500 req/s', unit: 'ms', digits: 2 },
  steadyP99: { title: 'p99 at 500 req/s', unit: 'ms', digits: 2 },
  steadyP999: { title: 'p99.9 at 500 req/s', unit: 'ms', digits: 2 },
  start: { title: 'exec to first answer', unit: 'ms', digits: 0 },
  forwarding: { title: 'exec to first forwarded answer', unit: 'ms', digits: 0 },
  idle: { title: 'memory, idle', unit: 'MB', digits: 1 },
  loaded: { title: 'memory, loaded', unit: 'MB', digits: 1 },
  down: { title: 'stream down', unit: 'MB/s', digits: 0 },
  downCpu: { title: 'CPU per GiB down', unit: 's', digits: 2 },
  downGrowth: { title: 'memory above idle, down', unit: 'MB', digits: 1 },
  up: { title: 'stream up', unit: 'MB/s', digits: 0 },
  upCpu: { title: 'CPU per GiB up', unit: 's', digits: 2 },
  upGrowth: { title: 'memory above idle, up', unit: 'MB', digits: 1 },
  live: { title: 'exec to all live', unit: 's', digits: 1 },
  timers: { title: 'timers per appliance', unit: '', digits: 2 },
} as const

export type Metric = keyof typeof metrics

/** What one round has told of one contestant. */
export type Sample = Partial<Record<Metric, number>>

/** What all rounds have told of one contestant, or why there is nothing. */
export interface Row {
  name: string
  /** Why it did not take part. */
  missing?: string
  /** By round; what failed is not in them. */
  samples: Sample[]
  failures: string[]
}

export interface Spread {
  median: number
  /** Half of the distance between the smallest and the largest. */
  spread: number
}

export function summary(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const low = sorted[Math.floor((sorted.length - 1) / 2)]
  const high = sorted[Math.floor(sorted.length / 2)]
  if (low === undefined || high === undefined) return undefined
  return { median: (low + high) / 2, spread: ((sorted.at(-1) ?? 0) - (sorted[0] ?? 0)) / 2 }
}

export function summaryOf(row: Row, metric: Metric): Spread | undefined {
  return summary(row.samples.map(sample => sample[metric]).filter(value => value !== undefined))
}
