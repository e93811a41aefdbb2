import type { Dialect, Grant, Outcome, WireAnswer, WireRequest } from '../dialects/index.ts'
import { Failure } from '../errors.ts'
import { type Holding, REDACTED, type Redactor } from '../redactor.ts'
import { type Clock, type Moment, momentIn } from './clock.ts'
import type { SessionCookies } from './cookies.ts'

/** Sends one request on the proxy's own behalf. Throws a `Failure` when no answer came. */
export type Send = (request: WireRequest) => Promise<WireAnswer>

export interface Exchanged {
  outcome: Exclude<Outcome, { type: 'version-wanted' }>
  /** When the request was sent: the life of what came back counts from here. */
  sent: Moment
}

/** Of what an appliance said, in characters. */
const LONGEST_SAID = 360

/** One grant put to one appliance: the dialect's words, carried with the session's cookies. */
export class Exchange {
  #dialect: Dialect
  #version: string | undefined
  readonly #send: Send
  readonly #clock: Clock
  readonly #redactor: Redactor
  readonly #holding: Holding
  /** What was asked last, for telling what failed; whoever begins anew sets it to undefined. */
  lastGrant: Grant['type'] | undefined
  /** What it keeps the redactor knowing beyond one grant: the password, and what the last answer brought. */
  #password: string[] = []
  #brought: string[] = []

  constructor(parts: { dialect: Dialect; send: Send; clock: Clock; redactor: Redactor }) {
    this.#dialect = parts.dialect
    this.#send = parts.send
    this.#clock = parts.clock
    this.#redactor = parts.redactor
    this.#holding = parts.redactor.holding()
  }

  /** In the version that the appliance named, where it refused the configured one. */
  get dialect(): Dialect {
    return this.#dialect
  }

  /** The version that the appliance named, if it ever refused the configured one. */
  get version(): string | undefined {
    return this.#version
  }

  /** Goes on in a version that the appliance has named, now or to an earlier process. */
  speak(version: string): void {
    this.#dialect = this.#dialect.inVersion?.(version) ?? this.#dialect
    this.#version = version
  }

  /**
   * An appliance that refuses our version looks at nothing else, and is asked once more in the one that it names.
   * @param cookies go along with the request and take what the answer sets
   * @throws Failure as `Dialect.understand` and `Send` say; its message holds none of the grant's secrets
   */
  async ask(grant: Grant, cookies: SessionCookies | undefined): Promise<Exchanged> {
    const { outcome, sent } = await this.#put(grant, cookies)
    if (outcome.type !== 'version-wanted') return { outcome, sent }
    this.speak(outcome.version)
    const again = await this.#put(grant, cookies)
    if (again.outcome.type !== 'version-wanted') return { outcome: again.outcome, sent: again.sent }
    const said = `The appliance refused ${outcome.version}, which it had named, and named ${again.outcome.version}.`
    throw new Failure('VERSION_REFUSED', said)
  }

  async #put(grant: Grant, cookies: SessionCookies | undefined): Promise<{ outcome: Outcome; sent: Moment }> {
    this.lastGrant = grant.type
    if (grant.type === 'password') this.#password = [grant.password]
    this.#holding.hold([...this.#password, ...this.#brought, ...secretsOf(grant)])
    const request = withCookies(this.#dialect.ask(grant), this.#dialect, cookies)
    const sent = momentIn(this.#clock, 0)
    try {
      const answer = await this.#send(request)
      const outcome = this.#dialect.understand(grant, answer)
      cookies?.take(answer.fields['set-cookie'], request.path)
      this.#brought = secretsIn(outcome, cookies)
      return { outcome, sent }
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      const { code, retryAfter, cause, extensions } = error
      throw new Failure(code, this.#clean(error.message, grant), { retryAfter, cause, extensions })
    } finally {
      // What is spent or refused is told of no more, and need not be remembered to be kept out.
      this.#holding.hold([...this.#password, ...this.#brought])
    }
  }

  /** Lets go of what the last answer brought: the session holds it now. */
  handOver(): void {
    this.#brought = []
    this.#holding.hold(this.#password)
  }

  /** Lets go of every secret that came by here. */
  forget(): void {
    this.#password = []
    this.handOver()
  }

  /** An appliance may repeat what it was sent; a code is too short for the redactor to know it. */
  #clean(message: string, grant: Grant): string {
    const cleaned = this.#redactor.clean(message)
    const told = secretsOf(grant).reduce((text, secret) => (secret ? text.replaceAll(secret, REDACTED) : text), cleaned)
    // Not before: nobody knows a secret of which a part was cut off.
    return told.length > LONGEST_SAID ? `${told.slice(0, LONGEST_SAID)}…` : told
  }
}

/** The request with the session's cookies, and with those that the appliance also wants as fields. */
export function withCookies(request: WireRequest, dialect: Dialect, cookies: SessionCookies | undefined): WireRequest {
  const cookie = cookies?.field(request.path)
  if (cookies === undefined || cookie === undefined) return request
  const fields: Record<string, string> = { ...request.fields, cookie }
  for (const echo of dialect.echo) {
    const value = cookies.value(echo.cookie, request.path)
    if (value !== undefined) fields[echo.field] = value
  }
  return { ...request, fields }
}

function secretsIn(outcome: Outcome, cookies: SessionCookies | undefined): string[] {
  switch (outcome.type) {
    case 'granted':
      return [outcome.tokens.accessToken, outcome.tokens.refreshToken ?? '', ...(cookies?.values() ?? [])]
    case 'mfa-required':
      return [outcome.mfaToken]
    case 'version-wanted':
      return []
  }
}

function secretsOf(grant: Grant): string[] {
  switch (grant.type) {
    case 'password':
      return [grant.password]
    case 'mfa':
      return [grant.mfaToken, grant.code]
    case 'authorization_code':
      return [grant.code]
    case 'refresh_token':
      return [grant.refreshToken]
  }
}
