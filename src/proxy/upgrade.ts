import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import type { LiveSession } from '../session/live.ts'
import { Awaited, type Deadlines } from '../upstream/deadlines.ts'
import { upstreamFailure } from '../upstream/failure.ts'
import { bringsBody } from './body.ts'
import { fieldsDown, fieldsUp } from './fields.ts'
import type { Forwarded } from './forward.ts'
import { rewriteLink } from './links.ts'
import { writeProblem } from './problem.ts'
import { tunnel } from './tunnel.ts'

/** Milliseconds in which a caller can still read an answer that is none of WebSocket. */
const LINGER = 1_000

interface Offer {
  socket: Duplex
  /** What came behind the request. */
  head: Buffer
}

const offers = new WeakMap<IncomingMessage, Offer>()

/**
 * What answers a request for WebSocket: Node.js makes no response for one. Any answer but 101 ends the connection, as
 * what is behind the request is of no known protocol then.
 */
export function offeredResponse(request: IncomingMessage, socket: Duplex, head: Buffer): ServerResponse {
  offers.set(request, { socket, head })
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(request.socket)
  // Node.js has taken away what tells it.
  socket.on('drain', () => response.emit('drain'))
  response.once('finish', () => {
    if (response.statusCode === 101) return
    socket.end()
    // Without this a caller that never closes would hold the connection.
    setTimeout(() => socket.destroy(), LINGER).unref()
  })
  return response
}

/** Whether a request is one for WebSocket, for which `offeredResponse` has made the response. */
export function isOffer(request: IncomingMessage): boolean {
  return offers.has(request)
}

/**
 * Asks an appliance for WebSocket as a caller did, and lets bytes pass both ways once it agrees. A refusal is passed on
 * as it is, but for a 401 that a newer session can mend. Never rejects.
 */
export async function upgrade(appliance: Appliance, forwarded: Forwarded): Promise<void> {
  const { request, account } = forwarded
  const { admission, session } = appliance
  try {
    const offer = offers.get(request)
    if (offer === undefined || bringsBody(request)) {
      throw new Failure('BAD_REQUEST', 'A request for WebSocket has no body.')
    }
    await admission.enter()
    if (offer.socket.closed) return admission.leave()
    offer.socket.once('close', () => admission.leave())
    const from = performance.now()
    const live = session.current() ?? (await session.ready())
    account.waited = performance.now() - from
    if (!offer.socket.closed) new Handshake(appliance, forwarded, offer, live).send('first')
  } catch (error) {
    give(forwarded, error, appliance)
  }
}

function give({ response, account }: Forwarded, error: unknown, { name }: Appliance): void {
  const failure = upstreamFailure(error)
  account.failure = failure.code
  writeProblem(response, failure, name, account)
}

class CallerLeft extends Error {
  override readonly name = 'CallerLeft'
}

class Superseded extends Error {
  override readonly name = 'Superseded'
}

/** One attempt. It takes a connection of its own, which would be lost to the pool in any case. */
class Handshake extends Awaited implements Dispatcher.DispatchHandler {
  readonly #appliance: Appliance
  readonly #forwarded: Forwarded
  readonly #offer: Offer
  readonly #live: LiveSession
  #deadlines: Deadlines | undefined
  #controller: Dispatcher.DispatchController | undefined
  #mayRenew = false
  /** Its answer is no longer the caller's. */
  #over = false

  constructor(appliance: Appliance, forwarded: Forwarded, offer: Offer, live: LiveSession) {
    super()
    this.#appliance = appliance
    this.#forwarded = forwarded
    this.#offer = offer
    this.#live = live
    offer.socket.once('close', () => this.#controller?.abort(new CallerLeft()))
  }

  send(attempt: 'first' | 'second'): void {
    this.#mayRenew = attempt === 'first'
    const { request, target } = this.#forwarded
    const { client } = this.#appliance
    const headers = fieldsUp(request.headers, this.#live, target.path)
    this.#deadlines = client.deadlines
    this.#deadlines.add(this)
    client.dispatchFresh({ method: 'GET', path: target.path, headers, body: null, upgrade: 'websocket' }, this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#offer.socket.closed) controller.abort(new CallerLeft())
  }

  expire(): void {
    this.#controller?.abort(new Failure('APPLIANCE_TIMEOUT', 'No answer began in time.'))
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController, status: number, _: unknown, upstream: Duplex): void {
    this.#deadlines?.delete(this)
    this.#over = true
    const { socket, head } = this.#offer
    const { response, account } = this.#forwarded
    const raw = fieldsOf(controller)
    const protocol = oneValue(raw, 'upgrade')
    if (protocol.toLowerCase() !== 'websocket') {
      upstream.on('error', () => upstream.destroy())
      upstream.destroy()
      give(
        this.#forwarded,
        new Failure('ANSWER_BROKEN', 'The appliance switched to another protocol.'),
        this.#appliance,
      )
      return
    }
    const fields = this.#fields(raw).filter((_, i, all) => all[i - (i % 2)]?.toLowerCase() !== 'content-length')
    response.writeHead(status, [...fields, 'Connection', 'Upgrade', 'Upgrade', protocol])
    response.end()
    tunnel({ caller: socket, head, upstream, account })
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, message = ''): void {
    if (status < 200) return
    this.#deadlines?.delete(this)
    const raw = fieldsOf(controller)
    if (status !== 401 || !this.#mayRenew) return this.#pass(status, message, raw)
    controller.pause()
    this.#appliance.session.rejected(this.#live.accessToken).then(
      renewed => {
        if (renewed === undefined) {
          this.#pass(status, message, raw)
          controller.resume()
          return
        }
        this.#again(renewed)
        // Nobody uses its connection again, and its body may have no end.
        controller.abort(new Superseded())
      },
      (error: Error) => controller.abort(error),
    )
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return
    const { response, account } = this.#forwarded
    account.bytesDown += chunk.length
    if (response.write(chunk)) return
    controller.pause()
    response.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    if (!this.#over) this.#forwarded.response.end()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#deadlines?.delete(this)
    if (this.#over || error instanceof CallerLeft || this.#offer.socket.closed) return
    give(this.#forwarded, error, this.#appliance)
  }

  #again(renewed: LiveSession): void {
    this.#over = true
    this.#forwarded.account.replayed = true
    if (!this.#offer.socket.closed) new Handshake(this.#appliance, this.#forwarded, this.#offer, renewed).send('second')
  }

  #pass(status: number, message: string, raw: readonly Buffer[]): void {
    const { response } = this.#forwarded
    response.writeHead(status, /^[\t\x20-\x7e\x80-\xff]*$/.test(message) ? message : '', this.#fields(raw))
  }

  /** The fields of an answer as the caller gets them. */
  #fields(raw: readonly Buffer[]): string[] {
    const { request, target, account } = this.#forwarded
    account.fromUpstream = true
    account.firstByte = account.duration
    const caller = `${'encrypted' in request.socket ? 'https' : 'http'}://${request.headers.host ?? 'localhost'}`
    const standpoint = { origin: this.#appliance.origin, caller, mount: target.mount }
    const { down, cookies } = fieldsDown(raw, value => rewriteLink(value, standpoint))
    this.#live.cookies?.take(cookies, target.path)
    return down
  }
}

function fieldsOf({ rawHeaders }: Dispatcher.DispatchController): readonly Buffer[] {
  if (!Array.isArray(rawHeaders)) throw new Failure('ANSWER_BROKEN', 'The answer has no fields.')
  return rawHeaders.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part))
}

/** @param name in lower case */
function oneValue(raw: readonly Buffer[], name: string): string {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toString('latin1').toLowerCase() === name).join()
}
