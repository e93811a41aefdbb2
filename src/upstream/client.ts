import { Client, type Dispatcher, Pool } from 'undici'
import type { WireAnswer, WireRequest } from '../dialects/index.ts'
import { Failure } from '../errors.ts'
import { Deadlines } from './deadlines.ts'
import { upstreamFailure } from './failure.ts'
import { connector, inspectCertificate, type Trust, type TrustedCertificate } from './trust.ts'

/** All in milliseconds. */
export interface Timeouts {
  /** TCP and TLS together. */
  connect: number
  /** From the end of the request to the first byte of the answer. */
  firstByte: number
  /** Between two pieces of a body. */
  idle: number
}

/** The connection that a request travels on: undici's pool does not tell whether it had been used before. */
export interface Carrier {
  /** Answers that came over it. */
  answers: number
}

export interface Sending extends Dispatcher.DispatchOptions {
  /** Set when the request is handed to a connection. */
  carrier?: Carrier
}

class CountedClient extends Client {
  readonly #carrier: Carrier = { answers: 0 }

  constructor(origin: URL, options: Client.Options) {
    super(origin, options)
    this.on('connect', () => {
      this.#carrier.answers = 0
    })
  }

  override dispatch(options: Sending, handler: Dispatcher.DispatchHandler): boolean {
    options.carrier = this.#carrier
    return super.dispatch(options, handler)
  }
}

/** For the proxy's own requests, from the first packet to the last. */
const OWN_TIMEOUT = 15_000
const OWN_BODY_LIMIT = 1_048_576

/** The way to one appliance: pooled connections for what is forwarded, fresh ones for the proxy's own requests. */
export class UpstreamClient {
  readonly origin: string
  readonly #trust: Trust
  readonly #timeouts: Timeouts
  readonly #connect: ReturnType<typeof connector>
  readonly #connectAnew: ReturnType<typeof connector>
  /** For answers that have not begun. */
  readonly deadlines: Deadlines
  #pool: Pool

  /** @param parts.origin without a trailing slash */
  constructor(parts: {
    origin: string
    trust: Trust
    timeouts: Timeouts
    onCertificate?: (certificate: TrustedCertificate) => void
  }) {
    this.origin = parts.origin
    this.#trust = parts.trust
    this.#timeouts = parts.timeouts
    this.deadlines = new Deadlines(parts.timeouts.firstByte)
    const { trust, onCertificate } = parts
    const timeout = this.#timeouts.connect
    this.#connect = connector(trust, { timeout, onCertificate })
    this.#connectAnew = connector(trust, { timeout, onCertificate, resumes: false })
    this.#pool = this.#open()
  }

  /** Forwards through the pool; redirects are not followed and nothing is retried. */
  dispatch(options: Sending, handler: Dispatcher.DispatchHandler): void {
    this.#pool.dispatch(options, handler)
  }

  /** Forwards over a connection of its own, which is closed afterwards. */
  dispatchFresh(options: Sending, handler: Dispatcher.DispatchHandler): void {
    const client = new CountedClient(new URL(this.origin), this.#options())
    client.dispatch(options, handler)
    client.close().catch(() => undefined)
  }

  /**
   * Sends one of the proxy's own requests. Each takes a fresh connection: a pooled one may be dead without anybody
   * knowing, and whether a grant was spent on it could not be told.
   * @throws Failure APPLIANCE_UNREACHABLE, APPLIANCE_TIMEOUT, CERTIFICATE_UNTRUSTED (with the fingerprint that the
   * appliance shows) or ANSWER_BROKEN
   */
  readonly send = async (request: WireRequest): Promise<WireAnswer> => {
    const client = new Client(this.origin, { connect: this.#connectAnew })
    try {
      const answer = await client.request({
        method: request.method,
        path: request.path,
        // Without it any coding would be a right answer (RFC 9110, section 12.5.3).
        headers: { 'accept-encoding': 'identity', ...request.fields },
        body: request.body ?? null,
        signal: AbortSignal.timeout(OWN_TIMEOUT),
      })
      return { status: answer.statusCode, fields: answer.headers, body: await limitedText(answer.body) }
    } catch (error) {
      throw await this.#explained(upstreamFailure(error))
    } finally {
      client.destroy().catch(() => undefined)
    }
  }

  /** Lets go of pooled connections, without cutting what is under way: the next request opens a new one. */
  dropConnections(): void {
    const old = this.#pool
    this.#pool = this.#open()
    old.close().catch(() => undefined)
  }

  /** Takes no more requests; those under way finish, and then its connections are gone. */
  close(): void {
    this.#pool.close().catch(() => undefined)
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    await this.#pool.destroy()
  }

  #open(): Pool {
    return new Pool(this.origin, {
      ...this.#options(),
      pipelining: 1,
      factory: (origin, options) => new CountedClient(origin, options),
    })
  }

  #options(): Client.Options {
    return { connect: this.#connect, headersTimeout: this.#timeouts.firstByte, bodyTimeout: this.#timeouts.idle }
  }

  /** Adds the fingerprint that a person needs for checking the appliance and pinning it. */
  async #explained(failure: Failure): Promise<Failure> {
    if (failure.code !== 'CERTIFICATE_UNTRUSTED' || this.#trust.fingerprint !== undefined) return failure
    const certificate = await inspectCertificate(this.origin, this.#timeouts.connect).catch(() => undefined)
    if (certificate === undefined) return failure
    const detail = `${failure.message} Its SHA-256 fingerprint is ${certificate.fingerprint}.`
    return new Failure(failure.code, detail, { cause: failure.cause, extensions: { shown: certificate.fingerprint } })
  }
}

async function limitedText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > OWN_BODY_LIMIT) throw new Failure('ANSWER_BROKEN', 'The answer to the sign-in is larger than 1 MB.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
