import type { Io } from './command.ts'

const FIRST = 1_000
const CLEAR_LINE = '\r\u001b[K'

/**
 * Waits for work, and tells a person on a terminal what for once that takes more than a second.
 * @param what such as `Waiting for tenant`
 */
export async function withProgress<T>({ stderr, quiet }: Io, what: string, work: Promise<T>): Promise<T> {
  if (stderr.isTTY !== true || quiet === true) return work
  const start = performance.now()
  const timer = setInterval(() => {
    stderr.write(`${CLEAR_LINE}${what} … ${Math.round((performance.now() - start) / 1000)} s`)
  }, FIRST)
  try {
    return await work
  } finally {
    clearInterval(timer)
    if (performance.now() - start >= FIRST) stderr.write(CLEAR_LINE)
  }
}
