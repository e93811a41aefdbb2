import type { Answer, Exchange } from './answer.ts'
import type { Authority } from './authority.ts'
import type { Counts } from './counts.ts'
import type { Random } from './random.ts'
import type { MakeClaims, Pair, Session } from './tokens.ts'

/** Where a path leads. `rest` is what stands below the root of the API's version. */
export interface Place {
  kind: 'token' | 'anonymous' | 'resource'
  version: string
  rest: string
}

/** What a profile may know of the appliance it gives its manner to. */
export interface Appliance {
  /** `https://127.0.0.1:9443`, as the appliance itself would write it into links. */
  origin: string
  now: () => number
  authority: Authority
  counts: Counts
  random: Random
  /** A request field that must repeat the value of the second antiforgery cookie. */
  antiforgeryField: string | undefined
  /** Each resource answer sets an antiforgery cookie anew. */
  rotateCookies: boolean
  /** Values of x-api-version; undefined: as documented. */
  supportedVersions: readonly string[] | undefined
}

/** How one product answers. */
export interface Manner {
  /** undefined: nothing is served there, which is a 404 before anything else is looked at. */
  locate(path: string): Place | undefined
  /** A refusal that comes before authorization. */
  precondition?(exchange: Exchange): Answer | undefined
  /** The token endpoint and its neighbours: every grant, sign-out, authorization codes. */
  token(exchange: Exchange, place: Place): Promise<Answer>
  /** The pair behind a resource request, or the refusal. */
  authorize(exchange: Exchange): { pair: Pair } | { refusal: Answer }
  /** Fields that an authorized resource answer carries besides its own. */
  resourceFields?(exchange: Exchange, pair: Pair): Record<string, string | string[]>
  /** undefined: no such resource. */
  resource(exchange: Exchange, place: Place): Answer | undefined
  /** The product's way to say that something went wrong. */
  failure(status: number, detail: string): Answer
  /** Made at random at each start; only a test may know them. */
  cookieNames?: readonly string[]
}

/** One product, as its vendor documents it. */
export interface Profile {
  /** Seconds. */
  tokenLife: number
  /** Seconds, for an ordinary sign-in. */
  refreshLife(tokenLife: number): number
  /** Seconds, when a short-lived refresh token was asked for. */
  shortRefreshLife(tokenLife: number): number
  algorithm: string
  claims: MakeClaims
  /** Where the resources that only a simulator has are found. */
  root: string
  start(appliance: Appliance): Manner
}

export function refreshLifeOf(profile: Profile, tokenLife: number, wanted: number | undefined) {
  const ordinary = wanted ?? profile.refreshLife(tokenLife)
  const short = Math.min(ordinary, profile.shortRefreshLife(tokenLife))
  return (session: Session): number => (session.shortTerm ? short : ordinary)
}
