import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { RateLimiterMemory } from 'rate-limiter-flexible'
import type { CallerConfiguration } from '../config/callers.ts'
import { Failure } from '../errors.ts'
import type { PathRule } from '../policy/path-rules.ts'

/** Somebody who has proved who it is. */
export interface Caller {
  readonly name: string
  /** Undefined: all. */
  readonly appliances: ReadonlySet<string> | undefined
  readonly rule: PathRule
  readonly admin: boolean
}

interface Known extends Caller {
  /** SHA-256 of the secret; the secret itself is not held. */
  digest: Buffer | undefined
  certificate: string | undefined
}

/** Failed attempts from one address within a minute that are told so; further ones are told to wait. */
const FAILURES = 10
const MINUTE = 60

/** Who may call, where not everybody may. */
export class Callers {
  readonly #known: readonly Known[]
  readonly #failures: RateLimiterMemory

  private constructor(known: readonly Known[], failures: RateLimiterMemory) {
    this.#known = known
    this.#failures = failures
  }

  /**
   * @returns undefined where everybody may call
   * @throws Failure SECRET_UNREADABLE
   */
  static async open(configured: readonly CallerConfiguration[]): Promise<Callers | undefined> {
    if (configured.length === 0) return undefined
    const { RateLimiterMemory } = await import('rate-limiter-flexible')
    const failures = new RateLimiterMemory({ points: FAILURES, duration: MINUTE })
    return new Callers(await Promise.all(configured.map(known)), failures)
  }

  /**
   * The caller that a request comes from. A good secret is taken at any time: a neighbour who sends bad ones must not
   * shut out others of the same address.
   * @throws Failure CALLER_UNKNOWN, or TOO_MANY_FAILURES
   */
  async identify(request: IncomingMessage): Promise<Caller> {
    const caller = this.#find(request)
    if (caller !== undefined) return caller
    const attempt = await this.#failures
      .consume(request.socket.remoteAddress ?? 'local')
      .catch((refused: unknown) => refused)
    if (attempt instanceof Object && 'consumedPoints' in attempt && Number(attempt.consumedPoints) > FAILURES) {
      const retryAfter = 'msBeforeNext' in attempt ? Number(attempt.msBeforeNext) : MINUTE * 1000
      throw new Failure('TOO_MANY_FAILURES', `More than ${FAILURES} attempts failed within a minute.`, { retryAfter })
    }
    throw new Failure('CALLER_UNKNOWN', 'The request carries no secret of a configured caller.')
  }

  #find(request: IncomingMessage): Known | undefined {
    const key = request.headers['x-proxy-key']
    if (typeof key === 'string') return this.#bySecret(key)
    const { authorization = '' } = request.headers
    const [, scheme = '', credentials = ''] = /^(\S+) +(\S+) *$/.exec(authorization) ?? []
    switch (scheme.toLowerCase()) {
      case 'bearer':
        return this.#bySecret(credentials) ?? this.#byCertificate(request)
      case 'basic':
        return this.#byPair(Buffer.from(credentials, 'base64').toString()) ?? this.#byCertificate(request)
      default:
        return this.#byCertificate(request)
    }
  }

  /** Compares with every caller, so that time tells nothing of which came near. */
  #bySecret(secret: string): Known | undefined {
    const shown = digestOf(secret)
    let found: Known | undefined
    for (const caller of this.#known) {
      if (caller.digest !== undefined && timingSafeEqual(caller.digest, shown)) found = caller
    }
    return found
  }

  #byPair(pair: string): Known | undefined {
    const [, name, secret = ''] = /^([^:]*):(.*)$/s.exec(pair) ?? []
    const found = this.#bySecret(secret)
    return found?.name === name ? found : undefined
  }

  /** The handshake has proved that the peer holds the key of the certificate it showed. */
  #byCertificate({ socket }: IncomingMessage): Known | undefined {
    if (!(socket instanceof TLSSocket)) return undefined
    const shown = socket.getPeerX509Certificate()?.fingerprint256
    return shown === undefined ? undefined : this.#known.find(({ certificate }) => certificate === shown)
  }
}

async function known({ name, secret, certificate, appliances, rule, admin }: CallerConfiguration): Promise<Known> {
  return {
    name,
    digest: secret === undefined ? undefined : digestOf(await secret.reveal()),
    certificate,
    appliances: appliances === undefined ? undefined : new Set(appliances),
    rule,
    admin,
  }
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
