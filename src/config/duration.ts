import ms, { type StringValue } from 'ms'
import Type from 'typebox'
import type { Findings, Path } from './findings.ts'

export const DURATION = '^[0-9]+(ms|s|m|h)$'

/** A length of time such as 10s. */
export function duration(title: string, fallback: string, description: string) {
  return Type.String({
    pattern: DURATION,
    default: fallback,
    title,
    description: `${description}, such as ${fallback}`,
  })
}

/** Milliseconds; what does not fit the schema, which has then been found, counts as the fallback. */
export function millisecondsOf(text: unknown, fallback: string): number {
  return ms(isDuration(text) ? text : isDuration(fallback) ? fallback : '0s')
}

/** A timer of Node.js that is told to wait for more than 2^31 ms, 24 days, ends at once. */
const LONGEST = '24h'

/** The same for what a timer keeps; what none can keep is in the findings. */
export function keepableMilliseconds(
  { text, fallback, least }: { text: unknown; fallback: string; least: '0s' | '1ms' },
  path: Path,
  findings: Findings,
): number {
  const found = millisecondsOf(text, fallback)
  if (found < ms(least) || found > ms(LONGEST))
    findings.add(path, 'this time is out of range', `Give ${least} to ${LONGEST}, such as ${fallback}`)
  return found
}

/** Written as this program takes it. */
export function isDuration(text: unknown): text is StringValue {
  return typeof text === 'string' && new RegExp(DURATION).test(text)
}
