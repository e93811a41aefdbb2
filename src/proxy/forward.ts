import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Appliance } from '../appliance.ts'
import type { Failure } from '../errors.ts'
import type { LiveSession } from '../session/live.ts'
import type { Session } from '../session/session.ts'
import { isConnectionLoss, upstreamFailure } from '../upstream/failure.ts'
import type { Account } from './account.ts'
import { Answer, type Asked, type Followed } from './answer.ts'
import { bodyOf, bringsBody, NO_BODY, type RequestBody } from './body.ts'
import type { Downstream, Relay } from './downstream.ts'
import { fieldsUp } from './fields.ts'
import type { Target } from './mount.ts'
import { callersFields } from './own-fields.ts'
import { preconditions } from './preconditions.ts'
import { writeProblem } from './problem.ts'

export interface Forwarded {
  request: IncomingMessage
  response: ServerResponse
  target: Target
  account: Account
  /** Gets the answer in the place of `response`. */
  relay?: Relay
}

/** Methods whose effect is the same once or twice, and that are sent again when a connection was lost. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

class CallerLeft extends Error {
  override readonly name = 'CallerLeft'
}

/**
 * Sends a request to its appliance and the answer back, and answers itself when there is none. Both ways are streams
 * with back pressure; a caller that leaves aborts the request upstream.
 */
export function forward(appliance: Appliance, forwarded: Forwarded): void {
  new Forwarding(appliance, forwarded).begin()
}

/**
 * One request on its way. It is sent a second time for one of two reasons only: the appliance answered 401 and there is
 * a better session now, or a connection that had been in use before was lost before any byte of an answer.
 */
class Forwarding implements Asked {
  readonly response: Downstream
  readonly account: Account
  readonly #appliance: Appliance
  readonly #request: IncomingMessage
  readonly #target: Target
  readonly #own: ServerResponse
  readonly #relay: Relay | undefined
  #body: RequestBody = NO_BODY
  /** The latest one. */
  #answer: Answer | undefined
  #abort: ((error: Error) => void) | undefined
  #entered: Appliance['admission'] | undefined
  #replayed = false
  #resent = false

  constructor(appliance: Appliance, { request, response, target, account, relay }: Forwarded) {
    this.response = relay ?? response
    this.#own = response
    this.#relay = relay
    this.account = account
    this.#appliance = appliance
    this.#request = request
    this.#target = target
    this.response.on('close', () => this.#closed())
  }

  /** What most requests need is there at once; awaiting it all the same cost 3 % of forwarding. */
  begin(): void {
    const { admission, session } = this.#appliance
    const live = bringsBody(this.#request) || !admission.hasRoom ? undefined : session.current()
    if (live === undefined) {
      void this.#prepare()
      return
    }
    try {
      void admission.enter()
      this.#entered = admission
      this.#send(live)
    } catch (error) {
      this.#give(error)
    }
  }

  get path(): string {
    return this.#target.path
  }

  get isHead(): boolean {
    return this.#request.method === 'HEAD'
  }

  get origin(): string {
    return this.#appliance.origin
  }

  get caller(): string {
    const { socket, headers } = this.#request
    return `${'encrypted' in socket ? 'https' : 'http'}://${headers.host ?? 'localhost'}`
  }

  get mount(): string {
    return this.#target.mount
  }

  get hasForeignLinks(): boolean {
    return this.#appliance.hasForeignLinks(this.#target.mount)
  }

  connected(abort: (error: Error) => void): void {
    this.#abort = abort
    if (this.response.closed) abort(new CallerLeft())
  }

  holds(answer: Answer, status: number): boolean {
    if (status !== 401) return false
    this.account.rejections += 1
    if (this.#replayed) return false
    this.#replayed = true
    this.#replay(answer).then(
      () => answer.resume(),
      (error: Error) => answer.abort(error),
    )
    return true
  }

  ownFields(): readonly string[] {
    // A relay's callers have each their own.
    return this.#relay === undefined ? callersFields(this.#own, this.account) : []
  }

  broken(failure: Failure): void {
    this.#give(failure)
  }

  failed(error: Error, answer: Answer): void {
    if (error instanceof CallerLeft || this.response.closed) return
    const used = (answer.sending.carrier?.answers ?? 0) > 0
    const safe = SAFE.has(this.#request.method ?? '') && this.#body.payload === null
    if (!used || !safe || answer.begun || this.#resent || !isConnectionLoss(error)) {
      this.#give(error)
      return
    }
    this.#resent = true
    const sending = this.#sending(answer.live, null)
    const second = new Answer(this, answer.live, sending)
    this.#await(second)
    this.#appliance.client.dispatchFresh(sending, second)
  }

  async #prepare(): Promise<void> {
    const { admission, session, maxBody } = this.#appliance
    try {
      this.#body = await bodyOf(this.#request, this.account, maxBody)
      await admission.enter()
      if (this.response.closed) {
        admission.leave()
        return
      }
      this.#entered = admission
      const live = session.current() ?? (await waited(session, this.account))
      if (!this.response.closed) this.#send(live)
    } catch (error) {
      this.#give(error)
    }
  }

  #send(live: LiveSession): void {
    const sending = this.#sending(live, this.#body.payload)
    const answer = new Answer(this, live, sending)
    this.#await(answer)
    this.#appliance.client.dispatch(sending, answer)
  }

  /** The time for an answer begins when the whole request is out of the caller's hands. */
  #await(answer: Answer): void {
    const { deadlines } = this.#appliance.client
    this.#answer = answer
    answer.deadlines = deadlines
    if (this.#body === NO_BODY || this.#request.complete) deadlines.add(answer)
    else this.#request.once('end', () => answer.begun || deadlines.add(answer))
  }

  #sending(live: LiveSession, payload: RequestBody['payload']): Followed {
    const { method = 'GET', headers } = this.#request
    const { path } = this.#target
    const fields = fieldsUp(headers, live, path)
    if (payload === null || Buffer.isBuffer(payload)) delete fields['content-length']
    // What is to be read on its way down must come as it is.
    if (this.hasForeignLinks) fields['accept-encoding'] = 'identity'
    if (this.#relay?.wantsAll) for (const name of preconditions) delete fields[name]
    const hop = this.account.trace?.sent({ method, path, origin: this.#appliance.origin })
    if (hop !== undefined) {
      delete fields.tracestate
      Object.assign(fields, hop.fields)
    }
    return { method, path, headers: fields, body: payload, hop }
  }

  async #replay(answer: Answer): Promise<void> {
    const renewed = await this.#appliance.session.rejected(answer.live.accessToken)
    const body = this.#body.again()
    if (renewed === undefined) return answer.pass('not replayed: there is no newer session')
    if (body === undefined) return answer.pass('not replayed: the body of the request was streamed')
    answer.discard()
    this.account.replayed = true
    const sending = this.#sending(renewed, body)
    const second = new Answer(this, renewed, sending)
    this.#await(second)
    this.#appliance.client.dispatch(sending, second)
  }

  /** Answers with a problem. */
  #give(error: unknown): void {
    const failure = upstreamFailure(error)
    if (this.#relay === undefined) {
      this.account.failure = failure.code
      writeProblem(this.#own, failure, this.#appliance.name, this.account)
    } else this.#relay.fail(failure)
    // What nobody will read any more would stand between this request and the next one on its connection.
    if (this.#body.payload instanceof Readable) this.#body.payload.destroy()
  }

  #closed(): void {
    // Told twice where a connection ends with answers behind one another: a place is left once.
    this.#entered?.leave()
    this.#entered = undefined
    // What was decoded can end, or break off, before what it is decoded from does.
    if (!this.response.writableFinished || this.#answer?.isWhole === false) this.#abort?.(new CallerLeft())
  }
}

async function waited(session: Session, account: Account): Promise<LiveSession> {
  const from = performance.now()
  try {
    return await session.ready()
  } finally {
    account.waited = performance.now() - from
  }
}
