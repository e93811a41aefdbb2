/** Random choices that are the same for the same seed. Never for secrets. */
export interface Random {
  /** In [0, 1). */
  next(): number
  /** In [from, to], both included. */
  integer(from: number, to: number): number
  pick<T>(choices: readonly [T, ...T[]]): T
  uuid(): string
  /** An ISO 8601 time at most `days` before a fixed day, so that the items of one seed never change. */
  pastTime(days: number): string
}

const fixedDay = Date.UTC(2025, 5, 1)

/** mulberry32: 32 bits of state, good enough for test data. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const integer = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  const hex = (digits: number) => Array.from({ length: digits }, () => integer(0, 15).toString(16)).join('')
  return {
    next,
    integer,
    pick: choices => choices[integer(0, choices.length - 1)] ?? choices[0],
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${integer(8, 11).toString(16)}${hex(3)}-${hex(12)}`,
    pastTime: days => new Date(fixedDay - integer(0, days * 86_400) * 1000).toISOString(),
  }
}
