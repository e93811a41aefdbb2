import type { IncomingMessage } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Appliance } from '../appliance.ts'
import type { CacheConfiguration } from '../config/cache.ts'
import { Failure } from '../errors.ts'
import { canonicalPath } from '../policy/canonical-path.ts'
import { credentialPath } from '../policy/path-rules.ts'
import { Room } from './arriving-answer.ts'
import type { Asking } from './audience.ts'
import { bringsBody } from './body.ts'
import { Bypass, Unsafe } from './bypass.ts'
import { type Forwarding, hitStatus } from './cache-status.ts'
import { nominated, staysHere } from './fields.ts'
import { Flight } from './flight.ts'
import { type Forwarded, forward } from './forward.ts'
import type { HeldAnswer } from './held-answer.ts'
import { writeProblem } from './problem.ts'
import { type Wishes, wishesOf } from './wishes.ts'

/** Methods that change nothing (RFC 9110, section 9.2.1; RFC 4918, 3253, 5323 and the QUERY method). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'])

/** Below what no field can hold, for a field that is missing: that is not the same as an empty one. */
const MISSING = '\t'

const caches = new WeakMap<CacheConfiguration, Cache>()

/** The cache of an appliance, gone with the configuration that it was made for; undefined where it has none. */
export function cacheOf(appliance: Appliance): Cache | undefined {
  const { cache: configuration } = appliance
  if (configuration === undefined) return undefined
  let cache = caches.get(configuration)
  if (cache === undefined) {
    cache = new Cache(configuration)
    caches.set(configuration, cache)
  }
  return cache
}

/** Answers of one appliance that are given again, and its requests under way that are shared (RFC 9111). */
export class Cache {
  readonly configuration: CacheConfiguration
  readonly room: Room
  readonly #held: LRUCache<string, HeldAnswer>
  /**
   * By key, for those who come to ask the same. Each in a place of its own that is empty when it has ended: what a `Map`
   * held is kept from V8's young collections, as `Chain` says, and so each of them took 2.7 MB for alive instead of 0.6.
   */
  readonly #flights = new Map<string, { flight: Flight | undefined }>()
  #generation = 0

  constructor(configuration: CacheConfiguration) {
    this.configuration = configuration
    this.room = new Room(configuration.maxSize)
    this.#held = new LRUCache({ maxSize: configuration.maxSize })
  }

  /** Goes up each time the cache is emptied. */
  get generation(): number {
    return this.#generation
  }

  /** Answers a request from here, or forwards it. */
  answer(appliance: Appliance, asked: Forwarded): void {
    const { request, account } = asked
    const { method = '' } = request
    if (method !== 'GET' && method !== 'HEAD') {
      passOther(appliance, asked, method)
      return
    }
    const { headers } = request
    const wishes = wishesOf(headers)
    if (!isPlain(request)) {
      if (wishes.onlyIfCached) refuse(appliance, asked)
      else bypass(appliance, asked, 'bypass')
      return
    }
    const key = keyOf(asked)
    const held = this.#held.get(key)
    if (held !== undefined) {
      const { elapsed } = held
      const isFit = held.isFresh(elapsed) && held.isFor(headers) && held.satisfies(wishes, elapsed)
      if (isFit && !wishes.noStore) {
        account.cache = 'hit'
        held.give(asked, elapsed, hitStatus(held.ttl(elapsed)))
        return
      }
    }
    this.#forward(appliance, { ...asked, key, wishes, why: whyForwarded(held, asked, wishes) })
  }

  /** Forwards a request for itself alone; its answer may be kept all the same. */
  forwardAlone(appliance: Appliance, asking: Asking): void {
    new Flight({ cache: this, appliance, asking, key: asking.key }).begin()
  }

  /** Keeps an answer. */
  keep(key: string, answer: HeldAnswer): void {
    this.#held.set(key, answer, { size: answer.size + key.length })
  }

  /** What is kept there is no longer true. */
  drop(key: string): void {
    this.#held.delete(key)
  }

  /** What may be given for a request that the appliance cannot answer now. */
  standIn({ key, request, wishes }: Asking): HeldAnswer | undefined {
    const held = this.#held.get(key)
    if (this.configuration.staleIfError === 0 || !held?.isFor(request.headers)) return undefined
    const { elapsed } = held
    const { maxAge, noCache } = wishes
    const asked = { noCache, maxAge, minFresh: Number.NEGATIVE_INFINITY }
    return held.standsIn(elapsed) && held.satisfies(asked, elapsed) ? held : undefined
  }

  ended(key: string, flight: Flight): void {
    const place = this.#flights.get(key)
    if (place?.flight !== flight) return
    place.flight = undefined
    this.#flights.delete(key)
  }

  /** Nothing that was asked before now is given any more to those who ask from now on. */
  empty(): void {
    this.#generation += 1
    this.#held.clear()
    for (const place of this.#flights.values()) place.flight = undefined
    this.#flights.clear()
  }

  #forward(appliance: Appliance, asking: Asking): void {
    const { wishes, key, request, target } = asking
    if (wishes.onlyIfCached) {
      refuse(appliance, asking)
      return
    }
    if (!this.#covers(appliance, target.path)) {
      bypass(appliance, asking, 'bypass')
      return
    }
    if (wishes.noStore) {
      bypass(appliance, asking, 'request')
      return
    }
    const isHead = request.method === 'HEAD'
    // A body answers those who want the head alone, and not the other way about.
    const ownKey = isHead ? `HEAD ${key}` : key
    const flight = this.#flights.get(key)?.flight ?? (isHead ? this.#flights.get(ownKey)?.flight : undefined)
    if (flight !== undefined && !wishes.noCache) {
      flight.join(asking)
      return
    }
    const own = new Flight({ cache: this, appliance, asking, key: ownKey })
    this.#flights.set(ownKey, { flight: own })
    own.begin()
  }

  #covers({ product }: Appliance, path: string): boolean {
    const { paths } = this.configuration
    const canonical = canonicalPath(path)
    if (canonical === undefined || credentialPath(product, canonical) !== undefined) return false
    return paths === undefined || paths(canonical)
  }
}

/** Whether a request is for the whole of something, and for whatever is there. */
function isPlain(request: IncomingMessage): boolean {
  const { headers } = request
  if (headers.range !== undefined || headers['if-range'] !== undefined) return false
  if (headers['if-match'] !== undefined || headers['if-unmodified-since'] !== undefined) return false
  if (bringsBody(request)) return false
  // A field that goes no further than here would still be part of the key.
  return nominated(headers.connection).every(name => headers[name] === undefined || staysHere(name))
}

/** What an answer is kept under: all of a request that shapes it. No field can hold a line break. */
function keyOf({ request, target, account }: Forwarded): string {
  const { socket, headers } = request
  const scheme = 'encrypted' in socket ? 'https' : 'http'
  const { host, accept = MISSING, 'accept-encoding': encoding = MISSING, 'x-api-version': version = MISSING } = headers
  const rights = account.caller?.rights ?? ''
  return `${rights}\n${scheme}\n${host}\n${target.mount}\n${accept}\n${encoding}\n${version}\n${target.path}`
}

function whyForwarded(held: HeldAnswer | undefined, { request }: Forwarded, wishes: Wishes): Forwarding {
  if (wishes.noCache || wishes.noStore) return 'request'
  if (held === undefined) return 'uri-miss'
  if (!held.isFor(request.headers)) return 'vary-miss'
  return held.isFresh(held.elapsed) ? 'request' : 'stale'
}

/** For who wants nothing but what is kept (RFC 9111, section 5.2.1.7). */
function refuse({ name }: Appliance, { response, account }: Forwarded): void {
  account.failure = 'NOT_CACHED'
  const failure = new Failure('NOT_CACHED', 'The request asks for nothing but an answer that is kept, and fresh.')
  writeProblem(response, failure, name, account)
}

function bypass(appliance: Appliance, forwarded: Forwarded, why: Forwarding): void {
  forwarded.account.cache = 'bypass'
  forward(appliance, { ...forwarded, relay: new Bypass({ appliance: appliance.name, forwarded, why }) })
}

function passOther(appliance: Appliance, forwarded: Forwarded, method: string): void {
  const parts = { appliance: appliance.name, forwarded, why: 'method' } as const
  // The cache may be another one by the time of the answer.
  const relay = SAFE.has(method) ? new Bypass(parts) : new Unsafe(parts, () => cacheOf(appliance)?.empty())
  forward(appliance, { ...forwarded, relay })
}
