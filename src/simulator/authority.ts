import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import type { Counts } from './counts.ts'
import type { Pair, SessionWish, TokenStore } from './tokens.ts'

export interface AuthorityOptions {
  now: () => number
  counts: Counts
  tokens: TokenStore
  username: string
  password: string
  /** Base32; MFA is on when it is set. */
  totpSecret: string | undefined
  /** Seconds. */
  mfaTokenLife: number
}

interface Waiting {
  expiresAt: number
  wish: SessionWish
}

const codeLife = 60_000

/** Decides who may have tokens: password, MFA code, authorization code. Every decision is counted here. */
export class Authority {
  readonly tokens: TokenStore
  readonly username: string
  password: string
  readonly #options: AuthorityOptions
  readonly #totp: TOTP | undefined
  readonly #waiting = new Map<string, Waiting>()
  readonly #codes = new Map<string, number>()
  readonly #usedSteps = new Set<number>()

  constructor(options: AuthorityOptions) {
    this.#options = options
    this.tokens = options.tokens
    this.username = options.username
    this.password = options.password
    if (options.totpSecret !== undefined) this.#totp = new TOTP({ secret: Secret.fromBase32(options.totpSecret) })
  }

  signIn(username: string, password: string, wish: SessionWish): 'refused' | { pair: Pair } | { mfaToken: string } {
    const { counts, now, mfaTokenLife } = this.#options
    if (username !== this.username || password !== this.password) {
      counts.refusedSignIns += 1
      return 'refused'
    }
    counts.signIns += 1
    if (this.#totp === undefined) return { pair: this.tokens.open(username, wish) }
    // Base64 of 64 hexadecimal digits, with its padding: as in the vendor's examples.
    const mfaToken = Buffer.from(randomBytes(32).toString('hex').toUpperCase()).toString('base64')
    this.#waiting.set(mfaToken, { expiresAt: now() + mfaTokenLife * 1000, wish })
    return { mfaToken }
  }

  /** A wrong code leaves the MFA token good; a right one spends it. */
  completeMfa(mfaToken: string, code: string): 'unknown-token' | 'wrong-code' | Pair {
    const { counts, now } = this.#options
    const waiting = this.#waiting.get(mfaToken)
    if (waiting === undefined || now() >= waiting.expiresAt) {
      this.#waiting.delete(mfaToken)
      counts.refusedCodes += 1
      return 'unknown-token'
    }
    if (!this.#acceptCode(code)) {
      counts.refusedCodes += 1
      return 'wrong-code'
    }
    this.#waiting.delete(mfaToken)
    counts.mfa += 1
    return this.tokens.open(this.username, waiting.wish)
  }

  /** The pair to renew. It is not renewed yet: a profile may have more to ask for. */
  findRefresh(token: string): Pair | undefined {
    const pair = this.tokens.findRefresh(token)
    if (pair === undefined) this.#options.counts.refusedRefreshes += 1
    return pair
  }

  refuseRefresh(): void {
    this.#options.counts.refusedRefreshes += 1
  }

  renew(pair: Pair): Pair {
    this.#options.counts.refreshes += 1
    return this.tokens.renew(pair)
  }

  signOut(pair: Pair): void {
    pair.session.alive = false
    this.#options.counts.signOuts += 1
  }

  /** Good for 60 s, once. Always holds `+`, `/` and `=`, so that a missing percent-encoding shows. */
  issueCode(): string {
    for (;;) {
      const code = randomBytes(200).toString('base64')
      if (!code.includes('+') || !code.includes('/')) continue
      this.#codes.set(code, this.#options.now() + codeLife)
      return code
    }
  }

  redeemCode(code: string): Pair | undefined {
    const expiresAt = this.#codes.get(code)
    this.#codes.delete(code)
    if (expiresAt === undefined || this.#options.now() >= expiresAt) return undefined
    this.#options.counts.authorizationCodes += 1
    return this.tokens.open(this.username, { shortTerm: true })
  }

  revoke(what: 'access' | 'refresh' | 'all'): void {
    this.tokens.revoke(what)
    if (what === 'all') this.#waiting.clear()
  }

  /** RFC 6238, section 5.2: a code of one time step is accepted once. One step early or late is tolerated. */
  #acceptCode(code: string): boolean {
    if (this.#totp === undefined || !/^\d{6}$/.test(code)) return false
    const timestamp = this.#options.now()
    const delta = this.#totp.validate({ token: code, timestamp, window: 1 })
    if (delta === null) return false
    const step = Math.floor(timestamp / 1000 / this.#totp.period) + delta
    if (this.#usedSteps.has(step)) return false
    this.#usedSteps.add(step)
    return true
  }
}
