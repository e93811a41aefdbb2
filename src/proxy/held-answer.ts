import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { SMALL_BODY } from '../end-of-turn.ts'
import type { Clock, Moment } from '../session/clock.ts'
import type { ArrivingAnswer } from './arriving-answer.ts'
import { staysHere } from './fields.ts'
import type { Forwarded } from './forward.ts'
import type { Freshness } from './freshness.ts'
import { ownFieldsOf } from './own-fields.ts'
import { callerHas, hasPrecondition, type Validators } from './preconditions.ts'
import type { Wishes } from './wishes.ts'

/** Bytes that an answer takes beside its text: objects, strings' heads, its place among the others. */
const OVERHEAD = 512

/** Fields by which every answer is held anyway. */
const OF_THE_KEY = new Set(['accept', 'accept-encoding', 'x-api-version'])

/** Fields that a 304 has of the answer that it stands for (RFC 9110, section 15.4.5). */
const OF_NOT_MODIFIED = new Set(['cache-control', 'content-location', 'date', 'etag', 'expires', 'vary'])

interface Parts {
  /** All of it. */
  arriving: ArrivingAnswer
  /** What it answers. */
  request: IncomingMessage
  clock: Clock
}

/**
 * An answer as it went down, to be given to others. Its fields are put together once: giving it is one call for the
 * head, of which two values are set anew, and one for the body.
 */
export class HeldAnswer implements Validators {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  /** Bytes that it takes. */
  readonly size: number
  readonly status: number
  readonly #reason: string
  readonly #fields: string[]
  /** As text where it is small; see `SMALL_BODY`. */
  readonly #body: Buffer | string
  readonly #freshness: Freshness
  readonly #clock: Clock
  readonly #since: Moment
  /** Further fields of the request that the answer depends on, and what they were: name, value, name, value … */
  readonly #varying: readonly (string | undefined)[]
  #notModified: string[] | undefined

  constructor({ arriving, request, clock }: Parts) {
    const { head, freshness, since } = arriving
    const body = arriving.whole()
    const isHead = request.method === 'HEAD'
    const { status, reason, fields, date, length, lastModified, vary } = head
    this.status = status
    this.lastModified = lastModified
    this.etag = head.etag ?? (status === 200 && !isHead ? etagOf(body) : undefined)
    this.#reason = reason
    this.#body = body.length > SMALL_BODY ? body : body.toString('latin1')
    this.#freshness = freshness
    this.#clock = clock
    this.#since = since
    this.#fields = fields.filter((_, i) => fields[i - (i % 2)]?.toLowerCase() !== 'age')
    if (date === undefined) this.#fields.push('Date', new Date(clock.wall()).toUTCString())
    if (length === undefined && !isHead && status !== 204) this.#fields.push('Content-Length', String(body.length))
    if (head.etag === undefined && this.etag !== undefined) this.#fields.push('ETag', this.etag)
    this.#fields.push('Age', '', 'Cache-Status', '', 'X-Request-Id', '')
    this.#varying = vary
      .filter(name => !OF_THE_KEY.has(name) && !staysHere(name))
      .flatMap(name => [name, fieldIn(request.headers, name)])
    // What a caller said is as long as it liked.
    const texts = [...this.#fields, ...this.#varying]
    this.size = texts.reduce((sum, text = '') => sum + text.length, OVERHEAD + body.length)
  }

  /** Milliseconds since it came, on the clock that counts more: one of them may stand still, or be set. */
  get elapsed(): number {
    const { wall, monotonic } = this.#since
    return Math.max(0, this.#clock.wall() - wall, this.#clock.monotonic() - monotonic)
  }

  isFresh(elapsed: number): boolean {
    return elapsed < this.#freshness.life
  }

  /** Whether it may stand in for what the appliance cannot answer now. */
  standsIn(elapsed: number): boolean {
    return elapsed < this.#freshness.life + this.#freshness.grace
  }

  /** Whether a request with these fields would have got the same answer. */
  isFor(headers: IncomingHttpHeaders): boolean {
    const varying = this.#varying
    for (let i = 0; i < varying.length; i += 2) if (fieldIn(headers, varying[i] ?? '') !== varying[i + 1]) return false
    return true
  }

  satisfies({ noCache, maxAge, minFresh }: Pick<Wishes, 'noCache' | 'maxAge' | 'minFresh'>, elapsed: number): boolean {
    const { age, life } = this.#freshness
    return !noCache && age + elapsed <= maxAge && life - elapsed >= minFresh
  }

  /** Whole seconds that it will still be fresh; below 0 once it is not. */
  ttl(elapsed: number): number {
    return Math.floor((this.#freshness.life - elapsed) / 1000)
  }

  /** @param note for `Cache-Status` */
  give({ request, response, account }: Forwarded, elapsed: number, note: string): void {
    const { headers, method } = request
    account.fromUpstream = true
    const age = String(Math.floor((this.#freshness.age + elapsed) / 1000))
    if (this.status === 200 && hasPrecondition(headers) && callerHas(this, headers)) {
      this.#notModified ??= [...notModifiedOf(this.#fields), ...this.#fields.slice(-6)]
      response.writeHead(304, withOwn(stamped(this.#notModified, age, note, account.id), response))
      response.end()
      return
    }
    response.writeHead(this.status, this.#reason, withOwn(stamped(this.#fields, age, note, account.id), response))
    if (method === 'HEAD') {
      response.end()
      return
    }
    account.bytesDown = this.#body.length
    if (typeof this.#body === 'string') response.end(this.#body, 'latin1')
    else response.end(this.#body)
  }
}

/** Node.js has read the list when `writeHead` returns, so that the same one serves again. */
function stamped(fields: string[], age: string, note: string, id: string): string[] {
  fields[fields.length - 5] = age
  fields[fields.length - 3] = note
  fields[fields.length - 1] = id
  return fields
}

function withOwn(fields: string[], response: ServerResponse): string[] {
  const own = ownFieldsOf(response)
  return own.length === 0 ? fields : [...fields, ...own.flat()]
}

/** The fields of a 304 in the place of an answer with these. */
export function notModifiedOf(fields: readonly string[]): string[] {
  return fields.filter((_, i) => OF_NOT_MODIFIED.has(fields[i - (i % 2)]?.toLowerCase() ?? ''))
}

/** Strong: it stands for these very bytes. */
function etagOf(body: Buffer): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
}

function fieldIn(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
