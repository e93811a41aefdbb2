import { ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { endWith } from '../end-of-turn.ts'
import { Failure } from '../errors.ts'
import type { LiveSession } from '../session/live.ts'
import type { Sending } from '../upstream/client.ts'
import { Awaited, type Deadlines } from '../upstream/deadlines.ts'
import type { Account } from './account.ts'
import { DecodedBody } from './decoded-body.ts'
import type { Downstream } from './downstream.ts'
import { type AnswerFields, fieldsDown, without } from './fields.ts'
import { flushHead } from './flush-head.ts'
import { LinkRewriter } from './link-rewriter.ts'
import { rewriteWhole } from './link-whole.ts'
import { rewriteLink, type Standpoint } from './links.ts'
import { type Rewriting, rewritingOf } from './rewriting.ts'
import type { Hop } from './trace.ts'

// Longer than the rule allows by a few lines: an answer, from its head to its end, is the other half of the hot path.

/** Answers that have no body, whatever their fields say (RFC 9110, section 6.4.1). */
const BODILESS = new Set([204, 304])

const LENGTH = ['content-length']

/** Bodies of a known length up to this are rewritten whole, and keep a length; in bytes. */
const WHOLE = 65_536

/** Of a body that nobody wants, more than this is not read, in bytes: it may have no end. */
const MOST_UNWANTED = 1_048_576

const NOTHING = Buffer.alloc(0)

const SENDABLE_REASON = /^[\t\x20-\x7e\x80-\xff]*$/

/** A sending with what follows it, where tracing is on. */
export interface Followed extends Sending {
  hop: Hop | undefined
}

/** The request that an answer is for. */
export interface Asked extends Standpoint {
  readonly response: Downstream
  readonly account: Account
  /** Path and query at the appliance. */
  readonly path: string
  readonly isHead: boolean
  /** Whether bodies hold links that do not lead to the proxy. */
  readonly hasForeignLinks: boolean
  connected(abort: (error: Error) => void): void
  /** @returns whether the answer is held, because a better session may bring another in its place */
  holds(answer: Answer, status: number): boolean
  failed(error: Error, answer: Answer): void
  /** What the caller gets beside the appliance's fields: flat, name, value … */
  ownFields(): readonly string[]
  /** The body cannot be understood. */
  broken(failure: Failure): void
}

/**
 * One answer of the appliance on its way down. It has the older of undici's two forms of handler: the newer one is
 * wrapped around it, with an object of every answer's fields that nothing here would read (5 % of forwarding).
 */
export class Answer extends Awaited implements Dispatcher.DispatchHandler {
  deadlines: Deadlines | undefined
  readonly live: LiveSession
  readonly sending: Followed
  readonly #asked: Asked
  #status = 0
  #message = ''
  #fields: AnswerFields | undefined
  #abort: ((error: Error) => void) | undefined
  #resume: (() => void) | undefined
  #rewriting: Rewriting | undefined
  #rewriter: LinkRewriter | undefined
  /** Where to write, when it is not to the response itself. */
  #sink: DecodedBody | undefined
  /** The body so far, where it is rewritten whole. */
  #whole: Buffer[] | undefined
  #received = 0
  #goesDown = false
  #discarded = false
  #complete = false
  #ended = false

  constructor(asked: Asked, live: LiveSession, sending: Followed) {
    super()
    this.#asked = asked
    this.live = live
    this.sending = sending
  }

  /** Whether any byte of an answer has come. */
  get begun(): boolean {
    return this.#fields !== undefined
  }

  /** Whether all of its body has come, or it has none. */
  get isWhole(): boolean {
    return this.#ended
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    this.#asked.connected(abort)
  }

  expire(): void {
    this.#abort?.(new Failure('APPLIANCE_TIMEOUT', 'No answer began in time.'))
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, message: string): boolean {
    if (status < 200) return true
    this.deadlines?.delete(this)
    this.sending.hop?.answered(status)
    const fields = fieldsDown(raw, value => rewriteLink(value, this.#asked))
    // With another coding undici would pass the frames on as the body.
    if (fields.codings.some(coding => coding.toLowerCase() !== 'chunked'))
      throw new Failure('ANSWER_BROKEN', 'The answer has a transfer coding that is not known.')
    this.#status = status
    this.#message = message
    this.#fields = fields
    this.#resume = resume
    if (this.#asked.holds(this, status)) return false
    this.pass()
    return true
  }

  /**
   * Goes on with an answer that was held. Node.js tells one of `drain` also while another answer is written behind it on
   * its connection, which undici may be in the midst of reading: it reads one at a time, and refuses before it does anything.
   */
  resume(): void {
    try {
      this.#resume?.()
    } catch {
      setImmediate(() => this.resume())
    }
  }

  abort(error: Error): void {
    this.#abort?.(error)
  }

  /** Reads the answer to its end for nobody, so that its connection can be used again. */
  discard(): void {
    this.#discarded = true
  }

  /** Lets the answer through to the caller, with a note in `Proxy-Status` (RFC 9209) if any. */
  pass(note?: string): void {
    const fields = this.#fields
    if (fields === undefined) return
    const { account, response, isHead, hasForeignLinks, path } = this.#asked
    account.fromUpstream = true
    account.firstByte = account.duration
    if (fields.cookies.length > 0) this.live.cookies?.take(fields.cookies, path)
    fields.down.push(...this.#asked.ownFields())
    if (note !== undefined)
      fields.down.push('Proxy-Status', `veeam-auth-proxy; received-status=${this.#status}; details="${note}"`)
    if (BODILESS.has(this.#status)) {
      // Whatever follows is no part of it, and undici takes the length that a 304 may state for a broken answer.
      this.#discarded = true
      // RFC 9110, section 8.6: one of 204 has no length either.
      const down = this.#status === 204 && fields.length !== undefined ? without(fields.down, LENGTH) : fields.down
      this.#writeHead(down)
      this.#end()
      return
    }
    this.#goesDown = true
    const rewritten = hasForeignLinks ? rewritingOf(this.#status, fields.down) : undefined
    // The length that a GET would have is not known without its body (RFC 9110, section 8.6).
    if (isHead && rewritten !== undefined) fields.down = rewritten.fields
    const rewriting = isHead ? undefined : rewritten
    this.#rewriting = rewriting
    const fits = fields.length === undefined || fields.length <= WHOLE
    if (rewriting !== undefined && rewriting.opening === undefined && fits) {
      this.#whole = []
      if (this.#complete) this.#endWhole([])
      // Without a length only what has come by then is known to be there.
      else if (fields.length === undefined) setImmediate(() => this.#stream())
      return
    }
    this.#begin()
    // A head goes out with the first piece of its body, unless that lets one wait for it.
    if (this.#complete) this.#end()
    else if (fields.length === undefined || !fits) setImmediate(flushDownstream, response)
  }

  onData(chunk: Buffer): boolean {
    this.#received += chunk.length
    if (!this.#goesDown) {
      if (this.#received > MOST_UNWANTED) this.#abort?.(new Failure('ANSWER_BROKEN', 'What nobody wants has no end.'))
      return true
    }
    const isLast = this.#received === this.#fields?.length
    if (this.#whole !== undefined) {
      this.#whole.push(chunk)
      if (isLast) this.#endWhole(this.#whole)
      else if (this.#received > WHOLE) this.#stream()
      return true
    }
    if (isLast) {
      this.#end(chunk)
      return true
    }
    return this.#write(chunk)
  }

  onComplete(): void {
    this.#complete = true
    this.sending.hop?.ended()
    if (this.sending.carrier !== undefined) this.sending.carrier.answers += 1
    if (!this.#goesDown || this.#ended) return
    if (this.#whole !== undefined) this.#endWhole(this.#whole)
    else this.#end()
  }

  onError(error: Error): void {
    this.deadlines?.delete(this)
    this.sending.hop?.ended(error)
    if (this.#discarded || this.#ended) return
    // An answer that has begun can only be broken off, also where nothing of it has gone out yet.
    if (this.#whole !== undefined) this.#writeHead(this.#fields?.down ?? [])
    this.#asked.failed(error, this)
  }

  #writeHead(fields: string[]): void {
    // A reason that Node.js would not send is left out: nobody may rely on one (RFC 9112, section 4).
    const isSendable = this.#message === 'OK' || SENDABLE_REASON.test(this.#message)
    this.#asked.response.writeHead(this.#status, isSendable ? this.#message : '', fields)
  }

  /** Begins a body that goes down piece by piece. */
  #begin(): void {
    this.#writeHead(this.#rewriting?.fields ?? this.#fields?.down ?? [])
    if (this.#rewriting === undefined) return
    const { format, opening } = this.#rewriting
    const rewriter = new LinkRewriter(this.#asked, format)
    if (opening === undefined) this.#rewriter = rewriter
    else this.#sink = new DecodedBody(opening, rewriter, this.#asked)
  }

  /** Goes on piece by piece with a body that turned out too large, or is not there yet. */
  #stream(): void {
    const pieces = this.#whole
    if (pieces === undefined || this.#ended || this.#asked.response.destroyed) return
    this.#whole = undefined
    this.#begin()
    if (pieces.length === 0) flushDownstream(this.#asked.response)
    else this.#write(Buffer.concat(pieces))
  }

  /** @returns whether more can be taken at once */
  #write(chunk: Buffer): boolean {
    const { account, response } = this.#asked
    const bytes = this.#rewriter === undefined ? chunk : this.#rewriter.write(chunk)
    account.bytesDown += bytes.length
    const sink = this.#sink ?? response
    if (bytes.length === 0 || sink.write(bytes)) return true
    sink.once('drain', () => this.resume())
    return false
  }

  /** Head and body in one write: a body that arrived whole need not be cut into chunks because its length changes. */
  #endWhole(pieces: readonly Buffer[]): void {
    this.#ended = true
    const { account, response } = this.#asked
    const { format, fields = [] } = this.#rewriting ?? {}
    const [first = NOTHING] = pieces
    const given = pieces.length === 1 ? first : Buffer.concat(pieces)
    const body = format === undefined ? given : rewriteWhole(given, this.#asked, format)
    account.bytesDown += body.length
    fields.push('Content-Length', String(body.length))
    this.#writeHead(fields)
    endDownstream(response, body)
  }

  /** @param last piece of the body, as it arrived */
  #end(last?: Buffer): void {
    this.#ended = true
    const { account, response } = this.#asked
    if (this.#sink !== undefined || this.#rewriter === undefined) {
      if (last !== undefined) account.bytesDown += last.length
      if (this.#sink !== undefined) this.#sink.end(last)
      else endDownstream(response, last)
      return
    }
    for (const bytes of [last === undefined ? NOTHING : this.#rewriter.write(last), this.#rewriter.end()]) {
      account.bytesDown += bytes.length
      if (bytes.length > 0) response.write(bytes)
    }
    response.end()
  }
}

function endDownstream(response: Downstream, body: Buffer | undefined): void {
  if (response instanceof ServerResponse) endWith(response, body)
  else response.end(body)
}

function flushDownstream(response: Downstream): void {
  if (response.writableEnded || response.destroyed) return
  if (response instanceof ServerResponse) flushHead(response)
  else response.flushHeaders()
}
