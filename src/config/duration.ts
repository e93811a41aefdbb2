import ms, { type StringValue } from 'ms'
import Type from 'typebox'

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

/** Written as this program takes it. */
export function isDuration(text: unknown): text is StringValue {
  return typeof text === 'string' && new RegExp(DURATION).test(text)
}
