import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import type { LiveSession } from '../session/live.ts'
import type { Session } from '../session/session.ts'
import type { Sending } from '../upstream/client.ts'
import type { Awaited, Deadlines } from '../upstream/deadlines.ts'
import { isConnectionLoss, upstreamFailure } from '../upstream/failure.ts'
import type { Account } from './account.ts'
import { bodyOf, type RequestBody } from './body.ts'
import { fieldsDown, fieldsUp, valuesOf } from './fields.ts'
import type { LinkRewriter } from './link-rewriter.ts'
import { rewriteLink } from './links.ts'
import type { Target } from './mount.ts'
import { writeProblem } from './problem.ts'
import { rewritingOf } from './rewriting.ts'

// Longer than the rule allows: the hot path is read best from a request's arrival to its end.

export interface Forwarded {
  request: IncomingMessage
  response: ServerResponse
  target: Target
  account: Account
}

/**
 * Sends a request to its appliance and the answer back, and answers itself when there is none. Both ways are streams
 * with back pressure; a caller that leaves aborts the request upstream. Never rejects.
 */
export async function forward(appliance: Appliance, forwarded: Forwarded): Promise<void> {
  const { request, response, account } = forwarded
  const { admission, session } = appliance
  let body: RequestBody | undefined
  try {
    body = await bodyOf(request, account, appliance.maxBody)
    await admission.enter()
    if (response.closed) return admission.leave()
    response.once('close', () => admission.leave())
    const live = session.current() ?? (await waited(session, account))
    if (!response.closed) new Forwarding(appliance, forwarded, body).send(live)
  } catch (error) {
    give(forwarded, error, appliance, body)
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

/** Answers with a problem. */
function give(
  { response, account }: Forwarded,
  error: unknown,
  { name }: Appliance,
  body: RequestBody | undefined,
): void {
  const failure = upstreamFailure(error)
  account.failure = failure.code
  writeProblem(response, failure, name)
  // What nobody will read any more would stand between this request and the next one on its connection.
  if (body?.payload instanceof Readable) body.payload.destroy()
}

/** Methods whose effect is the same once or twice, and that are sent again when a connection was lost. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

class CallerLeft extends Error {
  override readonly name = 'CallerLeft'
}

/**
 * One request on its way. It is sent a second time for one of two reasons only: the appliance answered 401 and there is
 * a better session now, or a connection that had been in use before was lost before any byte of an answer.
 */
class Forwarding {
  readonly #appliance: Appliance
  readonly #forwarded: Forwarded
  readonly #body: RequestBody
  #controller: Dispatcher.DispatchController | undefined
  #replayed = false
  #resent = false

  constructor(appliance: Appliance, forwarded: Forwarded, body: RequestBody) {
    this.#appliance = appliance
    this.#forwarded = forwarded
    this.#body = body
    forwarded.response.once('close', () => {
      if (!forwarded.response.writableFinished) this.#controller?.abort(new CallerLeft())
    })
  }

  get response(): ServerResponse {
    return this.#forwarded.response
  }

  get account(): Account {
    return this.#forwarded.account
  }

  send(live: LiveSession): void {
    const sending = this.#sending(live, this.#body.payload)
    const answer = new Answer(this, live, sending)
    this.#await(answer)
    this.#appliance.client.dispatch(sending, answer)
  }

  /** The time for an answer begins when the whole request is out of the caller's hands. */
  #await(answer: Answer): void {
    const { request } = this.#forwarded
    const { deadlines } = this.#appliance.client
    answer.deadlines = deadlines
    if (request.complete) deadlines.add(answer)
    else request.once('end', () => answer.begun || deadlines.add(answer))
  }

  #sending(live: LiveSession, payload: RequestBody['payload']): Sending {
    const { request, target } = this.#forwarded
    const headers = fieldsUp(request.headers, live, target.path)
    if (payload === null || Buffer.isBuffer(payload)) delete headers['content-length']
    // What is to be read on its way down must come as it is.
    if (this.#appliance.hasForeignLinks(target.mount)) headers['accept-encoding'] = 'identity'
    return { method: request.method ?? 'GET', path: target.path, headers, body: payload }
  }

  started(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#forwarded.response.closed) controller.abort(new CallerLeft())
  }

  /** @returns whether the answer is held: a better session may bring another in its place */
  holds(answer: Answer, controller: Dispatcher.DispatchController, status: number): boolean {
    if (status !== 401 || this.#replayed) return false
    this.#replayed = true
    controller.pause()
    this.#replay(answer).then(
      () => controller.resume(),
      (error: Error) => controller.abort(error),
    )
    return true
  }

  async #replay(answer: Answer): Promise<void> {
    const renewed = await this.#appliance.session.rejected(answer.live.accessToken)
    const body = this.#body.again()
    if (renewed === undefined) return answer.pass('not replayed: there is no newer session')
    if (body === undefined) return answer.pass('not replayed: the body of the request was streamed')
    answer.discard()
    this.#forwarded.account.replayed = true
    const sending = this.#sending(renewed, body)
    const second = new Answer(this, renewed, sending)
    this.#await(second)
    this.#appliance.client.dispatch(sending, second)
  }

  /** Begins the caller's answer with the appliance's status and fields. */
  begin(live: LiveSession, { status, message, raw }: Head, note: string | undefined): LinkRewriter | undefined {
    const { request, response, target, account } = this.#forwarded
    account.fromUpstream = true
    account.firstByte = account.duration
    live.cookies?.take(valuesOf(raw, 'set-cookie'), target.path)
    const caller = `${'encrypted' in request.socket ? 'https' : 'http'}://${request.headers.host ?? 'localhost'}`
    const standpoint = { origin: this.#appliance.origin, caller, mount: target.mount }
    const fields = fieldsDown(raw, value => rewriteLink(value, standpoint))
    if (note !== undefined)
      fields.push('Proxy-Status', `veeam-auth-proxy; received-status=${status}; details="${note}"`)
    const hasBody = request.method !== 'HEAD' && !BODILESS.has(status)
    const rewriting =
      hasBody && this.#appliance.hasForeignLinks(target.mount) ? rewritingOf(status, fields, standpoint) : undefined
    // A reason that Node.js would not send is left out: nobody may rely on one (RFC 9112, section 4).
    response.writeHead(status, /^[\t\x20-\x7e\x80-\xff]*$/.test(message) ? message : '', rewriting?.fields ?? fields)
    return rewriting?.rewriter
  }

  failed(error: Error, answer: Answer): void {
    const { request, response } = this.#forwarded
    if (error instanceof CallerLeft || response.closed) return
    const used = (answer.sending.carrier?.answers ?? 0) > 0
    const safe = SAFE.has(request.method ?? '') && this.#body.payload === null
    if (used && safe && !answer.begun && !this.#resent && isConnectionLoss(error)) {
      this.#resent = true
      const second = new Answer(this, answer.live, answer.sending)
      this.#await(second)
      this.#appliance.client.dispatchFresh(answer.sending, second)
      return
    }
    give(this.#forwarded, error, this.#appliance, this.#body)
  }
}

interface Head {
  status: number
  message: string
  /** Name, value, name, value … as they arrived. */
  raw: readonly string[]
}

/** Answers that have no body, whatever their fields say (RFC 9110, section 6.4.1). */
const BODILESS = new Set([204, 304])

/** One answer of the appliance on its way down. */
class Answer implements Dispatcher.DispatchHandler, Awaited {
  deadlines: Deadlines | undefined
  readonly live: LiveSession
  readonly sending: Sending
  readonly #forwarding: Forwarding
  #head: Head | undefined
  #response: ServerResponse | undefined
  #rewriter: LinkRewriter | undefined
  #discarded = false
  #controller: Dispatcher.DispatchController | undefined

  constructor(forwarding: Forwarding, live: LiveSession, sending: Sending) {
    this.#forwarding = forwarding
    this.live = live
    this.sending = sending
  }

  /** Whether any byte of an answer has come. */
  get begun(): boolean {
    return this.#head !== undefined
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#forwarding.started(controller)
  }

  expire(): void {
    this.#controller?.abort(new Failure('APPLIANCE_TIMEOUT', 'No answer began in time.'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, message = ''): void {
    if (status < 200) return
    this.deadlines?.delete(this)
    const raw = texts(controller.rawHeaders)
    // With another coding undici would pass the frames on as the body.
    if (valuesOf(raw, 'transfer-encoding').some(coding => coding.toLowerCase() !== 'chunked')) {
      controller.abort(new Failure('ANSWER_BROKEN', 'The answer has a transfer coding that is not known.'))
      return
    }
    this.#head = { status, message, raw }
    if (!this.#forwarding.holds(this, controller, status)) this.pass()
  }

  /** Lets the answer through to the caller, with a note in `Proxy-Status` (RFC 9209) if any. */
  pass(note?: string): void {
    if (this.#head === undefined) return
    this.#rewriter = this.#forwarding.begin(this.live, this.#head, note)
    const { response } = this.#forwarding
    if (!BODILESS.has(this.#head.status)) {
      this.#response = response
      return
    }
    // Whatever follows is no part of it, and undici takes the length that a 304 may state for a broken answer.
    this.#discarded = true
    response.end()
  }

  /** Reads the answer to its end for nobody, so that its connection can be used again. */
  discard(): void {
    this.#discarded = true
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response === undefined) return
    const bytes = this.#rewriter === undefined ? chunk : this.#rewriter.write(chunk)
    this.#forwarding.account.bytesDown += bytes.length
    if (bytes.length === 0 || this.#response.write(bytes)) return
    controller.pause()
    this.#response.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    if (this.sending.carrier !== undefined) this.sending.carrier.answers += 1
    this.#response?.end(this.#rewriter?.end())
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.deadlines?.delete(this)
    if (!this.#discarded) this.#forwarding.failed(error, this)
  }
}

function texts(raw: Dispatcher.DispatchController['rawHeaders']): readonly string[] {
  if (!Array.isArray(raw)) throw new Failure('ANSWER_BROKEN', 'The answer has no fields.')
  return raw.map(part => (typeof part === 'string' ? part : part.toString('latin1')))
}
