import type { CacheConfiguration } from '../config/cache.ts'
import type { AnswerHead } from './answer-head.ts'
import { seconds, timeIn } from './cache-control.ts'
import { linkFormatOf } from './link-rewriter.ts'

/** Answers are given again, and shared, below this many bytes. */
export const LARGEST = 1_048_576

/** How long an answer is good for, all in milliseconds from its arrival. */
export interface Freshness {
  /** Age that it had already. */
  age: number
  /** What is left of its life; 0 or less when nothing is. */
  life: number
  /** For how much longer it may stand in while the appliance is down. */
  grace: number
}

/** Whether those who wait for the same may all be given this answer, although none of them is the one who asked. */
export function isShareable(head: AnswerHead): boolean {
  const { status, directives, type, length, vary } = head
  if (status === 206 || status === 304) return false
  if (status === 200 && linkFormatOf(type) === undefined) return false
  if (length !== undefined && length >= LARGEST) return false
  if (directives.has('private') || directives.has('no-store') || directives.has('no-cache')) return false
  if (vary.includes('*')) return false
  return (statedLife(head) ?? Number.POSITIVE_INFINITY) > statedAge(head)
}

/**
 * What RFC 9111 (section 4.2) and the configuration leave an answer. The appliance's clock is compared with itself only.
 * @param delay milliseconds that the answer took to come
 */
export function freshnessOf(head: AnswerHead, delay: number, { ttl, staleIfError }: CacheConfiguration): Freshness {
  const { directives } = head
  const age = statedAge(head)
  const life = Math.min(ttl, (statedLife(head) ?? Number.POSITIVE_INFINITY) - delay) - age
  const neverStale = ['must-revalidate', 'proxy-revalidate', 's-maxage'].some(name => directives.has(name))
  return { age: age + delay, life, grace: neverStale ? 0 : staleIfError }
}

/** How long the appliance itself says that its answer is good for; undefined when it says nothing of that. */
function statedLife({ directives, expires, date }: AnswerHead): number | undefined {
  const life = timeIn(directives, 's-maxage') ?? timeIn(directives, 'max-age')
  if (life !== undefined || expires === undefined) return life
  const from = date === undefined ? Date.now() : Date.parse(date)
  const until = Date.parse(expires)
  // A date that cannot be read lies in the past (RFC 9111, section 5.3).
  return Number.isNaN(until) || Number.isNaN(from) ? 0 : until - from
}

/** What the answer has spent in caches on its way here. */
function statedAge({ age }: AnswerHead): number {
  return age === undefined ? 0 : seconds(age) * 1000
}
