import { createHash } from 'node:crypto'
import type { Grant, SignInAnswer, Tokens } from '../dialects/index.ts'
import { Failure } from '../errors.ts'
import { type Clock, type Moment, momentIn, until } from './clock.ts'
import type { SessionCookies } from './cookies.ts'
import type { Exchange } from './exchange.ts'
import type { SignInMemory } from './kept.ts'
import { Refusals } from './refusals.ts'
import { type TotpCode, totpCode } from './totp.ts'

// Longer than the rule allows: which grant may follow which is one story.

/** Read anew at every use, so that a rotated secret is found. Throws a `Failure` SECRET_UNREADABLE. */
export interface SecretSource {
  reveal(): Promise<string>
}

export type Credentials =
  | { type: 'password'; username: string; password: SecretSource; totp?: SecretSource }
  | { type: 'authorization_code'; code: SecretSource }

type Password = Credentials & { type: 'password' }

export interface Granted {
  grant: Grant['type']
  tokens: Tokens
  answer: SignInAnswer
  cookies: SessionCookies | undefined
  sent: Moment
}

/** What a renewal starts from. */
export interface Renewable {
  refreshToken: string
  cookies: SessionCookies | undefined
}

interface Pending {
  mfaToken: string
  cookies: SessionCookies | undefined
  since: Moment
}

/** The documents do not say how long an `mfa_token` lives; an older one is replaced before a code is put to it. */
const MFA_TOKEN_TRUST = 120_000

/** A clock that was set back by more steps than this is so wrong that waiting for it to catch up would take too long. */
const STEPS_BACK = 5

/** One way from credentials to tokens: which grant comes next, and which may not be tried again. */
export class SignIn {
  readonly #credentials: Credentials
  readonly #exchange: Exchange
  readonly #clock: Clock
  readonly #newCookies: () => SessionCookies | undefined
  readonly #refusedSecrets: Refusals
  readonly #refusedCodes: Refusals
  #pending: Pending | undefined
  #spentCode: string | undefined
  #lastRefused: string | undefined
  #lastStep = -1
  #stopped = false
  #wake = () => {}

  constructor(parts: {
    credentials: Credentials
    exchange: Exchange
    clock: Clock
    newCookies: () => SessionCookies | undefined
  }) {
    this.#credentials = parts.credentials
    this.#exchange = parts.exchange
    this.#clock = parts.clock
    this.#newCookies = parts.newCookies
    this.#refusedSecrets = new Refusals(parts.clock)
    this.#refusedCodes = new Refusals(parts.clock)
  }

  /** Waits for no further code. */
  stop(): void {
    this.#stopped = true
    this.#wake()
  }

  /** The grant that a sign-in from scratch would use. */
  get firstGrant(): Grant['type'] {
    return this.#credentials.type
  }

  /** What must survive a restart, so that no account is locked and nothing that is spent is sent again. */
  get memory(): SignInMemory {
    return {
      refusedSecrets: this.#refusedSecrets.toKept(),
      refusedCodes: this.#refusedCodes.toKept(),
      lastStep: this.#lastStep,
      ...(this.#spentCode === undefined ? {} : { spentCode: this.#spentCode }),
      ...(this.#exchange.version === undefined ? {} : { apiVersion: this.#exchange.version }),
    }
  }

  remember(memory: SignInMemory): void {
    this.#refusedSecrets.restore(memory.refusedSecrets)
    this.#refusedCodes.restore(memory.refusedCodes)
    this.#lastStep = memory.lastStep
    this.#spentCode = memory.spentCode
    if (memory.apiVersion !== undefined) this.#exchange.speak(memory.apiVersion)
  }

  /**
   * Whether the password is still the one that was refused last.
   * @throws Failure SECRET_UNREADABLE
   */
  async wouldRepeat(): Promise<boolean> {
    if (this.#credentials.type !== 'password') return false
    return digestOf(this.#credentials, await this.#credentials.password.reveal()) === this.#lastRefused
  }

  /** @throws Failure SIGN_IN_REFUSED when the refresh token is dead, or as `Exchange.ask` */
  async refresh(from: Renewable): Promise<Granted> {
    const cookies = from.cookies?.copy()
    return this.#granted({ type: 'refresh_token', refreshToken: from.refreshToken }, cookies)
  }

  /** @throws Failure CODE_WANTED when a person is needed, or as `Exchange.ask` */
  async fromCredentials(): Promise<Granted> {
    if (this.#credentials.type === 'authorization_code') {
      return this.#spend(await this.#credentials.code.reveal(), 'CODE_WANTED')
    }
    const granted = await this.#password(this.#credentials)
    if (granted !== undefined) return granted
    if (this.#credentials.totp === undefined) throw new Failure('CODE_WANTED', 'Multi-factor authentication is on.')
    const { totp } = this.#credentials
    return this.#orAnew(this.#credentials, () => this.#totp(totp))
  }

  /**
   * Completes the sign-in with what a person typed: an MFA code, or a new authorization code.
   * @throws Failure CODE_REFUSED, CODE_UNWANTED, TOO_MANY_REFUSALS, or as `Exchange.ask`
   */
  async withCode(code: string): Promise<Granted> {
    if (this.#credentials.type === 'authorization_code') return this.#spend(code, 'CODE_REFUSED')
    if (this.#pending === undefined) throw new Failure('CODE_UNWANTED', 'No sign-in has asked for a code.')
    this.#allowCode()
    if (until(this.#clock, this.#pending.since) < -MFA_TOKEN_TRUST) {
      const granted = await this.#password(this.#credentials)
      if (granted !== undefined) return granted
    }
    return this.#orAnew(this.#credentials, () => this.#mfa(code))
  }

  /** An `mfa_token` that has expired is replaced by one password grant, once: a second one that expires is a refusal. */
  async #orAnew(credentials: Password, answer: () => Promise<Granted>): Promise<Granted> {
    try {
      return await answer()
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'MFA_EXPIRED') throw error
    }
    const granted = await this.#password(credentials)
    if (granted !== undefined) return granted
    try {
      return await answer()
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'MFA_EXPIRED') throw error
      throw this.#refusedCode(error.message)
    }
  }

  /** @returns undefined when a code is wanted, which is then pending */
  async #password(credentials: Password): Promise<Granted | undefined> {
    const password = await credentials.password.reveal()
    const secret = digestOf(credentials, password)
    this.#allow(secret)
    const cookies = this.#newCookies()
    const grant: Grant = { type: 'password', username: credentials.username, password }
    const { outcome, sent } = await this.#counted(secret, () => this.#exchange.ask(grant, cookies))
    this.#pending = undefined
    if (outcome.type === 'granted') return grantedBy(grant, outcome, { cookies, sent })
    this.#pending = { mfaToken: outcome.mfaToken, cookies, since: momentIn(this.#clock, 0) }
    return undefined
  }

  /** A code of one time step is sent once; a refused one is followed by the next step's, once. */
  async #totp(secret: SecretSource): Promise<Granted> {
    const code = await this.#freshCode(await secret.reveal())
    try {
      return await this.#mfa(code.code)
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'CODE_REFUSED') throw error
    }
    return this.#mfa((await this.#freshCode(await secret.reveal())).code)
  }

  async #freshCode(secret: string): Promise<TotpCode> {
    let code = totpCode(secret, this.#clock.wall())
    // A clock that was set back by a little comes by steps again whose codes have been sent.
    while (code.step <= this.#lastStep && code.step > this.#lastStep - STEPS_BACK) {
      const wait = code.nextStepAt - this.#clock.wall()
      await new Promise<void>(resolve => {
        const cancel = this.#clock.timer(Math.max(1, wait), resolve)
        this.#wake = () => {
          cancel()
          resolve()
        }
      })
      if (this.#stopped) throw new Failure('SHUTTING_DOWN', 'The session is closed.')
      code = totpCode(secret, this.#clock.wall())
    }
    this.#lastStep = code.step
    return code
  }

  async #mfa(code: string): Promise<Granted> {
    if (this.#pending === undefined) throw new Failure('CODE_UNWANTED', 'No sign-in has asked for a code.')
    this.#allowCode()
    const { mfaToken, cookies } = this.#pending
    try {
      const granted = await this.#granted({ type: 'mfa', mfaToken, code }, cookies)
      this.#pending = undefined
      return granted
    } catch (error) {
      if (error instanceof Failure && error.code === 'CODE_REFUSED') throw this.#refusedCode(error.message)
      throw error
    }
  }

  #allowCode(): void {
    const wait = this.#refusedCodes.wait()
    if (wait === 0) return
    // Who gave it at a terminal sees no Retry-After.
    const next = `${new Date(this.#clock.wall() + wait + 999).toISOString().slice(0, 19)}Z`
    const said = `Two codes were refused within an hour; the next one can be given at ${next}.`
    throw new Failure('TOO_MANY_REFUSALS', said, { retryAfter: wait })
  }

  #refusedCode(detail: string): Failure {
    this.#refusedCodes.add()
    return new Failure('CODE_REFUSED', detail)
  }

  /** An authorization code is spent at its first use, whatever the answer. */
  async #spend(code: string, refused: 'CODE_WANTED' | 'CODE_REFUSED'): Promise<Granted> {
    const secret = digest(code)
    if (secret === this.#spentCode) throw new Failure('CODE_WANTED', 'The authorization code has been spent.')
    this.#allow(secret)
    this.#spentCode = secret
    try {
      return await this.#counted(secret, () => this.#granted({ type: 'authorization_code', code }, this.#newCookies()))
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'SIGN_IN_REFUSED') throw error
      throw new Failure(refused, `The authorization code was refused. ${error.message}`)
    }
  }

  async #granted(grant: Grant, cookies: SessionCookies | undefined): Promise<Granted> {
    const { outcome, sent } = await this.#exchange.ask(grant, cookies)
    if (outcome.type === 'granted') return grantedBy(grant, outcome, { cookies, sent })
    throw new Failure('ANSWER_BROKEN', `The appliance answered the ${grant.type} grant with another demand for a code.`)
  }

  #allow(secret: string): void {
    const wait = this.#refusedSecrets.wait(secret)
    if (wait === 0) return
    throw new Failure(
      'SIGN_IN_REFUSED',
      'The same credentials were refused twice within an hour and are not sent again.',
      {
        retryAfter: wait,
      },
    )
  }

  async #counted<T>(secret: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof Failure && error.code === 'SIGN_IN_REFUSED') {
        this.#refusedSecrets.add(secret)
        this.#lastRefused = secret
      }
      throw error
    }
  }
}

function grantedBy(
  { type }: Grant,
  { tokens, answer }: { tokens: Tokens; answer: SignInAnswer },
  rest: Pick<Granted, 'cookies' | 'sent'>,
): Granted {
  return { grant: type, tokens, answer, ...rest }
}

function digestOf({ username }: Password, password: string): string {
  return digest(`${username}\n${password}`)
}

function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('base64')
}
