import type { Appliance } from '../appliance.ts'
import { endWith } from '../end-of-turn.ts'
import type { Failure } from '../errors.ts'
import { Account } from './account.ts'
import { answerHead } from './answer-head.ts'
import { ArrivingAnswer } from './arriving-answer.ts'
import { type Asking, Audience } from './audience.ts'
import { giveProblem } from './bypass.ts'
import type { Cache } from './cache.ts'
import { collapsedStatus, forwardedStatus, staleStatus, storedStatus } from './cache-status.ts'
import type { Relay } from './downstream.ts'
import { flushHead } from './flush-head.ts'
import { forward } from './forward.ts'
import { LARGEST } from './freshness.ts'
import { HeldAnswer, notModifiedOf } from './held-answer.ts'
import { callersFields } from './own-fields.ts'
import { callerHas, hasPrecondition } from './preconditions.ts'

// Longer than the rule allows by a few lines: what becomes of one request that several wait for is one story.

interface Parts {
  cache: Cache
  appliance: Appliance
  /** Who is the first to ask. */
  asking: Asking
  /** Among those under way. */
  key: string
}

/** Answers in whose place an older one may stand: the appliance is not well. */
const UNWELL = new Set([500, 502, 503, 504])

/**
 * One request to the appliance and all who wait for its answer. The first to ask gets it as it comes, the others when it
 * is there whole; whoever leaves, it goes on as long as somebody waits. An answer that may not be shared is the first
 * one's alone, and the others ask for themselves.
 */
export class Flight implements Relay {
  readonly wantsAll = true
  closed = false
  destroyed = false
  writableEnded = false
  writableFinished = false
  readonly #parts: Parts
  /** Of what goes on upstream; the first one's tells what of that it has met. */
  readonly #account: Account
  readonly #generation: number
  readonly #began: number
  readonly #audience = new Audience(() => {
    if (this.#state !== 'discarding') this.#close()
  })
  #state: 'open' | 'collecting' | 'passing' | 'discarding' = 'open'
  #answer: ArrivingAnswer | undefined
  #discarded = 0
  readonly #onClose: (() => void)[] = []

  constructor(parts: Parts) {
    const { cache, appliance, asking } = parts
    this.#parts = parts
    this.#account = new Account(asking.target.path, asking.account.id)
    this.#account.trace = asking.account.trace
    this.#generation = cache.generation
    this.#began = appliance.clock.monotonic()
  }

  begin(): void {
    const { appliance, asking } = this.#parts
    asking.account.cache = 'miss'
    // Whether it has the answer already may show at the end only, when there is a tag for it.
    if (hasPrecondition(asking.request.headers)) this.#audience.waiting.add(asking)
    else this.#audience.streaming = asking
    this.#audience.watch(asking)
    if (!this.closed) forward(appliance, { ...asking, account: this.#account, relay: this })
  }

  join(asking: Asking): void {
    asking.account.cache = 'shared'
    this.#audience.waiting.add(asking)
    this.#audience.watch(asking)
  }

  on(_: 'close', listener: () => void): void {
    this.#onClose.push(listener)
  }

  once(event: 'drain', listener: () => void): void {
    this.#audience.streaming?.response.once(event, listener)
  }

  writeHead(status: number, reason: string, fields: string[]): void {
    const { cache, appliance } = this.#parts
    this.#parts.asking.account.met(this.#account)
    if (UNWELL.has(status)) this.#standIn(status)
    if (this.#audience.isEmpty) {
      this.#state = 'discarding'
      this.#letGo()
      return
    }
    const head = answerHead(status, reason, fields)
    const { configuration, room } = cache
    this.#answer = new ArrivingAnswer({ head, clock: appliance.clock, asked: this.#began, configuration, room })
    if (!this.#answer.isShareable) {
      this.#pass(this.#answer)
      return
    }
    this.#state = 'collecting'
    if (this.#audience.streaming !== undefined) this.#sendHead(this.#audience.streaming, this.#answer)
  }

  flushHeaders(): void {
    flushHead(this.#audience.streaming?.response)
  }

  /** What is collected does not wait for its first caller: a slow one would hold up the others, and it is small. */
  write(bytes: Buffer): boolean {
    this.#take(bytes)
    if (this.#audience.streaming === undefined) return true
    this.#audience.streaming.account.bytesDown += bytes.length
    return this.#audience.streaming.response.write(bytes) || this.#state !== 'passing'
  }

  end(last?: Buffer): void {
    if (last !== undefined) this.#take(last)
    if (this.#audience.streaming !== undefined) {
      this.#audience.streaming.account.bytesDown += last?.length ?? 0
      endWith(this.#audience.streaming.response, last)
    }
    this.writableEnded = true
    if (this.#state === 'collecting' && this.#answer !== undefined) this.#complete(this.#answer)
    this.writableFinished = true
    this.#close()
  }

  fail(failure: Failure): void {
    if (this.closed) return
    this.#parts.asking.account.met(this.#account)
    if (failure.status > 500) this.#standIn(failure)
    for (const asking of this.#audience.everybody) giveProblem(asking, failure, asking.why, this.#parts.appliance.name)
    this.writableFinished = true
    this.#close()
  }

  #take(bytes: Buffer): void {
    if (this.#state === 'discarding') {
      this.#discarded += bytes.length
      if (this.#discarded >= LARGEST) this.#close()
    }
    if (this.#state !== 'collecting' || this.#answer === undefined || this.#answer.take(bytes)) return
    this.#pass(this.#answer)
  }

  /** The answer is nobody's but the first one's; all others ask for themselves. */
  #pass(answer: ArrivingAnswer): void {
    const { asking: first } = this.#parts
    const hasBegun = this.#state === 'collecting'
    const { pieces } = answer
    this.#state = 'passing'
    this.#letGo()
    this.#forgetOlder(answer)
    const hasWaited = this.#audience.waiting.delete(first)
    for (const asking of this.#audience.waiting) this.#sendAlone(asking)
    this.#audience.waiting.clear()
    if (hasWaited && !this.#isHad(first, answer)) this.#audience.streaming = first
    if (this.#audience.streaming === undefined) this.#close()
    else if (!hasBegun || hasWaited) this.#sendHead(this.#audience.streaming, answer)
    if (hasWaited) for (const piece of pieces) this.write(piece)
  }

  /** Tells a caller with 304 that it has the answer already, where it does. */
  #isHad({ request, response, account, why }: Asking, { head }: ArrivingAnswer): boolean {
    if (head.status !== 200 || !callerHas(head, request.headers)) return false
    account.fromUpstream = true
    const own = ['Cache-Status', forwardedStatus(why), ...callersFields(response, account)]
    response.writeHead(304, [...notModifiedOf(head.fields), ...own])
    response.end()
    return true
  }

  /** The head, to whom the answer goes as it comes. */
  #sendHead({ response, account, why }: Asking, answer: ArrivingAnswer): void {
    const { status, reason, fields, length } = answer.head
    account.fromUpstream = true
    account.firstByte = account.duration
    // Of a length that is not known nobody can say yet whether it will fit.
    const isKept = this.#state === 'collecting' && length !== undefined && answer.isWorthKeeping && this.#counts
    const own = ['Cache-Status', isKept ? storedStatus(why) : forwardedStatus(why), ...callersFields(response, account)]
    response.writeHead(status, reason, [...fields, ...own])
  }

  /** Gives the answer, now whole, to all who wait for it. */
  #complete(arriving: ArrivingAnswer): void {
    const { cache, appliance, asking: first } = this.#parts
    const isKept = arriving.isWorthKeeping && this.#counts
    if (!isKept) this.#forgetOlder(arriving)
    if (!isKept && this.#audience.waiting.size === 0) return
    const answer = new HeldAnswer({ arriving, request: first.request, clock: appliance.clock })
    if (isKept) cache.keep(first.key, answer)
    const { elapsed } = answer
    for (const asking of [...this.#audience.waiting]) {
      const { request, account, why, wishes } = asking
      const own = isKept ? storedStatus(why) : forwardedStatus(why)
      if (asking === first || (answer.isFor(request.headers) && answer.satisfies(wishes, elapsed))) {
        account.firstByte = account.duration
        answer.give(asking, elapsed, asking === first ? own : collapsedStatus(why))
      } else this.#sendAlone(asking)
      this.#audience.remove(asking)
    }
  }

  /** Whether the cache has a use for the answer: it was not emptied since, and there may be a body. */
  get #counts(): boolean {
    const { cache, asking } = this.#parts
    return asking.request.method === 'GET' && cache.generation === this.#generation
  }

  /** What was kept before is no longer so, where the appliance has said something else that is not kept. */
  #forgetOlder({ supersedes }: ArrivingAnswer): void {
    if (supersedes && this.#counts) this.#parts.cache.drop(this.#parts.asking.key)
  }

  /** Gives those who may have it an older answer in the place of a failure. */
  #standIn(reason: number | Failure): void {
    for (const asking of this.#audience.everybody) {
      const held = asking.response.headersSent ? undefined : this.#parts.cache.standIn(asking)
      if (held === undefined) continue
      this.#audience.remove(asking)
      asking.account.cache = 'stale'
      const { elapsed } = held
      held.give(asking, elapsed, staleStatus(reason, held.ttl(elapsed)))
    }
  }

  /** Not from within the parser of an answer. */
  #sendAlone(asking: Asking): void {
    const { cache, appliance } = this.#parts
    process.nextTick(() => cache.forwardAlone(appliance, asking))
  }

  /** Nobody joins any more, and nothing is collected. */
  #letGo(): void {
    const { cache, key } = this.#parts
    cache.ended(key, this)
    this.#answer?.letGo()
  }

  #close(): void {
    if (this.closed) return
    this.closed = true
    this.destroyed = true
    this.#letGo()
    for (const listener of this.#onClose) listener()
  }
}
