import type { IncomingHttpHeaders } from 'node:http'
import { type Directives, directivesOf, timeIn } from './cache-control.ts'

/** What a caller wants of a cache (RFC 9111, section 5.2.1); times in milliseconds. */
export interface Wishes {
  /** An answer made for this request. */
  noCache: boolean
  /** That nobody else gets the answer. */
  noStore: boolean
  /** An answer from here or none. */
  onlyIfCached: boolean
  maxAge: number
  minFresh: number
}

const NONE: Wishes = {
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  maxAge: Number.POSITIVE_INFINITY,
  minFresh: Number.NEGATIVE_INFINITY,
}

const NO_CACHE: Wishes = { ...NONE, noCache: true }

export function wishesOf(headers: IncomingHttpHeaders): Wishes {
  const { pragma, 'cache-control': control } = headers
  if (control !== undefined) return wishesIn(directivesOf(control))
  return pragma !== undefined && /\bno-cache\b/i.test(pragma) ? NO_CACHE : NONE
}

function wishesIn(directives: Directives): Wishes {
  const maxAge = timeIn(directives, 'max-age') ?? NONE.maxAge
  return {
    noCache: directives.has('no-cache') || maxAge === 0,
    noStore: directives.has('no-store'),
    onlyIfCached: directives.has('only-if-cached'),
    maxAge,
    minFresh: timeIn(directives, 'min-fresh') ?? NONE.minFresh,
  }
}
