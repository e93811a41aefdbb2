import Type from 'typebox'
import { Check } from 'typebox/value'
import type { PathTest } from '../policy/path-rules.ts'
import { BYTES, bytesOf } from './bytes.ts'
import { DURATION, duration, millisecondsOf } from './duration.ts'
import { attempted, type Findings, type Path } from './findings.ts'
import { Obstacle } from './obstacle.ts'
import { readablePatterns, ruleProperties } from './rule.ts'

/** What answers of an appliance are kept, and for how long. */
export interface CacheConfiguration {
  /** Longest time for which an answer is given again, in milliseconds; 0: only requests under way are shared. */
  ttl: number
  /** Bytes of all answers that are held. */
  maxSize: number
  /** The only paths whose answers are held; undefined: all. */
  paths: PathTest | undefined
  /** For how much longer an answer stands in while the appliance is down, in milliseconds. */
  staleIfError: number
}

const DEFAULT_TTL = '10s'
const DEFAULT_MAX_SIZE = '64MB'
/** As large as one answer can be. */
const LEAST_SIZE = 1_048_576

export const Cache = Type.Object(
  {
    ttl: Type.Optional(
      duration('Time to live', DEFAULT_TTL, 'How long an answer is given again; with 0s only requests under way share'),
    ),
    maxSize: Type.Optional(
      Type.String({
        pattern: BYTES,
        default: DEFAULT_MAX_SIZE,
        title: 'Largest size',
        description: 'Memory for answers of this appliance, 1MB or more, such as 64MB',
      }),
    ),
    paths: Type.Optional({
      ...ruleProperties.paths,
      description: "The only paths whose answers are kept, the appliance's own: /v8/Jobs, /v8/Jobs/* or /v8/**",
    }),
    staleIfError: Type.Optional(
      Type.String({
        pattern: DURATION,
        title: 'Stale if error',
        description: 'For how much longer the last good answer is given while the appliance is down, such as 60s',
      }),
    ),
  },
  {
    additionalProperties: false,
    title: 'Cache',
    description:
      'Answers that are given again: a map of ttl, maxSize, paths and staleIfError; without it there is none',
  },
)

/** The cache in an appliance's entry; what cannot be used is in the findings. */
export async function cacheIn(entry: unknown, path: Path, findings: Findings): Promise<CacheConfiguration | undefined> {
  if (!Check(Cache, entry)) return undefined
  const { paths: patterns } = entry
  const maxSize = await attempted(findings, [...path, 'maxSize'], () => sizeOf(entry.maxSize))
  const paths = patterns && (await attempted(findings, [...path, 'paths'], () => readablePatterns(patterns)))
  return {
    ttl: millisecondsOf(entry.ttl, DEFAULT_TTL),
    maxSize: maxSize ?? LEAST_SIZE,
    paths,
    staleIfError: millisecondsOf(entry.staleIfError, '0s'),
  }
}

function sizeOf(text = DEFAULT_MAX_SIZE): number {
  const size = bytesOf(text) ?? 0
  if (size >= LEAST_SIZE) return size
  throw new Obstacle('a single answer would not fit in', 'Write 1MB or more, such as 64MB')
}
