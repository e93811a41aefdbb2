import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { RateLimiterMemory } from 'rate-limiter-flexible'
import type { CallerConfiguration } from '../config/callers.ts'
import { Failure } from '../errors.ts'
import type { PathRule } from '../policy/path-rules.ts'
import type { PlaceholderPair, Placeholders } from './placeholder.ts'

/** Somebody who has proved who it is. */
export interface Caller {
  readonly name: string
  /** Undefined: all. */
  readonly appliances: ReadonlySet<string> | undefined
  readonly rule: PathRule
  /** The same for all who may do the same. */
  readonly rights: string
  readonly admin: boolean
}

/** Whether the appliances of a caller include one; anybody may use all where callers are not told apart. */
export function mayUse(caller: Caller | undefined, appliance: string): boolean {
  return caller?.appliances?.has(appliance) !== false
}

interface Known extends Caller {
  /** SHA-256 of the secret; the secret itself is not held. */
  digest: Buffer | undefined
  certificate: string | undefined
}

/** One that has a secret. */
type WithSecret = Known & { digest: Buffer }

/** What somebody shows who signs in as at an appliance. */
export type Shown =
  /** `passwords`: the ways in which the password can be read. */
  { type: 'password'; username: string; passwords: readonly string[] } | { type: 'refresh_token'; refreshToken: string }

/** Somebody who has signed in. */
export interface SignedIn {
  /** Undefined where everybody may call. */
  caller: Caller | undefined
  placeholders: PlaceholderPair
}

/** Failed attempts from one address within a minute that are told so; further ones are told to wait. */
const FAILURES = 10
const MINUTE = 60

/** Who may call, where not everybody may. */
export class Callers {
  readonly #known: readonly Known[]
  readonly #withSecret: readonly WithSecret[]
  readonly #placeholders: Placeholders
  readonly #failures: RateLimiterMemory

  private constructor(known: readonly Known[], placeholders: Placeholders, failures: RateLimiterMemory) {
    this.#known = known
    this.#withSecret = known.flatMap(caller => {
      const { digest } = caller
      return digest === undefined ? [] : [{ ...caller, digest }]
    })
    this.#placeholders = placeholders
    this.#failures = failures
  }

  /**
   * @returns undefined where everybody may call
   * @throws Failure SECRET_UNREADABLE
   */
  static async open(
    configured: readonly CallerConfiguration[],
    placeholders: Placeholders,
  ): Promise<Callers | undefined> {
    if (configured.length === 0) return undefined
    const { RateLimiterMemory } = await import('./failed-attempts.ts')
    const failures = new RateLimiterMemory({ points: FAILURES, duration: MINUTE })
    return new Callers(await Promise.all(configured.map(known)), placeholders, failures)
  }

  /**
   * The caller that a request comes from. A good secret is taken at any time: a neighbour who sends bad ones must not
   * shut out others of the same address.
   * @throws Failure CALLER_UNKNOWN, or TOO_MANY_FAILURES
   */
  async identify(request: IncomingMessage): Promise<Caller> {
    const caller = this.#find(request)
    if (caller !== undefined) return caller
    return this.#refuse(request, 'The request carries no secret of a configured caller.')
  }

  /**
   * The caller whose name and secret somebody gave for user name and password, or whose refresh placeholder it sent.
   * Such a request needs no other proof.
   * @throws Failure CALLER_UNKNOWN, or TOO_MANY_FAILURES
   */
  async signIn(request: IncomingMessage, shown: Shown): Promise<SignedIn> {
    const caller = shown.type === 'password' ? this.#byPassword(shown) : this.#byRefresh(shown.refreshToken)
    if (caller !== undefined) return { caller, placeholders: this.#placeholders.pair(caller) }
    const wanted =
      shown.type === 'password'
        ? 'User name and password must be name and secret of a configured caller.'
        : 'The refresh token is none that a configured caller got here. Sign in again.'
    return this.#refuse(request, wanted)
  }

  /** Counts a failed attempt. */
  async #refuse(request: IncomingMessage, detail: string): Promise<never> {
    const attempt = await this.#failures
      .consume(request.socket.remoteAddress ?? 'local')
      .catch((refused: unknown) => refused)
    if (attempt instanceof Object && 'consumedPoints' in attempt && Number(attempt.consumedPoints) > FAILURES) {
      const retryAfter = 'msBeforeNext' in attempt ? Number(attempt.msBeforeNext) : MINUTE * 1000
      throw new Failure('TOO_MANY_FAILURES', `More than ${FAILURES} attempts failed within a minute.`, { retryAfter })
    }
    throw new Failure('CALLER_UNKNOWN', detail)
  }

  #byPassword({ username, passwords }: Shown & { type: 'password' }): WithSecret | undefined {
    const found = passwords.map(password => this.#bySecret(password)).find(caller => caller !== undefined)
    return found?.name === username ? found : undefined
  }

  #byRefresh(token: string): WithSecret | undefined {
    const read = this.#placeholders.read('refresh', token, this.#withSecret)
    return read?.expired ? undefined : read?.holder
  }

  /**
   * @throws Failure CALLER_UNKNOWN for a placeholder that has expired: that is no attempt at anything, so it is not
   * counted, and a tool that renews at a 401 gets one every time
   */
  #byPlaceholder(token: string, request: IncomingMessage): Known | undefined {
    const read = this.#placeholders.read('access', token, this.#withSecret)
    if (read?.expired === false) return read.holder
    const shown = this.#byCertificate(request)
    if (shown !== undefined || read === undefined) return shown
    throw new Failure('CALLER_UNKNOWN', 'The placeholder has expired. Renew it, or sign in again.')
  }

  #find(request: IncomingMessage): Known | undefined {
    const key = request.headers['x-proxy-key']
    if (typeof key === 'string') return this.#bySecret(bytesOf(key))
    const { authorization = '' } = request.headers
    const [, scheme = '', credentials = ''] = /^([^ ]+) +([^ ]+) *$/.exec(authorization) ?? []
    switch (scheme.toLowerCase()) {
      case 'bearer':
        return this.#bySecret(bytesOf(credentials)) ?? this.#byPlaceholder(credentials, request)
      case 'basic':
        return this.#byPair(Buffer.from(credentials, 'base64').toString()) ?? this.#byCertificate(request)
      default:
        return this.#byCertificate(request)
    }
  }

  /** Compares with every caller, so that time tells nothing of which came near. */
  #bySecret(secret: string | Buffer): WithSecret | undefined {
    const shown = digestOf(secret)
    let found: WithSecret | undefined
    for (const caller of this.#withSecret) if (timingSafeEqual(caller.digest, shown)) found = caller
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

async function known(configuration: CallerConfiguration): Promise<Known> {
  const { name, secret, certificate, appliances, rule, admin, rights = name } = configuration
  return {
    name,
    digest: secret === undefined ? undefined : digestOf(await secret.reveal()),
    certificate,
    appliances: appliances === undefined ? undefined : new Set(appliances),
    rule,
    rights,
    admin,
  }
}

/** Of a field's value, which Node.js gives as Latin-1 whatever was meant: UTF-8, where it is not ASCII alone. */
function bytesOf(value: string): Buffer {
  return Buffer.from(value, 'latin1')
}

function digestOf(secret: string | Buffer): Buffer {
  return createHash('sha256').update(secret).digest()
}
