import type { WireAnswer } from './dialect.ts'

const VERSION = /\bv?(\d+\.\d+-rev\d+)\b/gi

/**
 * The newest version that an answer names as a reason for refusing ours, such as 'Unsupported RESTAPI version. The
 * following versions are supported: v1.0-rev1, v1.0-rev2'.
 * @param ours which was refused
 * @returns undefined when the answer says nothing of versions, or names no other
 */
export function namedVersion(answer: WireAnswer, ours: string): string | undefined {
  if (answer.status < 400 || answer.status > 499 || !/api.?version/i.test(answer.body)) return undefined
  const named = [...answer.body.matchAll(VERSION)].flatMap(([, version]) => version?.toLowerCase() ?? [])
  return named
    .filter(version => version !== ours)
    .sort(inOrder)
    .at(-1)
}

function inOrder(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)]
  for (const [index, part] of left.entries()) {
    const difference = part - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function partsOf(version: string): number[] {
  return version.split(/\D+/).map(Number)
}
