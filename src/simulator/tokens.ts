import { createHmac, randomBytes, randomUUID } from 'node:crypto'

/** What one sign-in began. Every pair renewed from it belongs to it, and a sign-out ends them all. */
export interface Session {
  id: string
  username: string
  /** The caller asked for a short-lived refresh token. */
  shortTerm: boolean
  /** What its next tokens say besides the profile's own claims. */
  claims: Claims
  alive: boolean
}

export interface SessionWish {
  shortTerm?: boolean
  claims?: Claims
}

/** One access token with its refresh token. All times in milliseconds of the simulator's own clock. */
export interface Pair {
  session: Session
  id: string
  access: string
  refresh: string
  issuedAt: number
  /** Whole seconds, as on the wire: rounded down, at least 1. */
  expiresIn: number
  expiresAt: number
  refreshExpiresAt: number
}

export type Claims = Record<string, unknown>

/** Claims of one token; `iat` and `exp` are seconds. */
export type MakeClaims = (kind: 'access' | 'refresh', pair: Pair, iat: number, exp: number) => Claims

export interface TokenStoreOptions {
  now: () => number
  /** Seconds; fractions are kept in the real expiry. */
  tokenLife: number
  /** Seconds. */
  refreshLife: (session: Session) => number
  algorithm: string
  claims: MakeClaims
}

/** How long an expired token is remembered, so that 'expired' can be told from 'never seen'. */
const memory = 60_000

/** Tokens look like the vendor's JWTs, but what counts is this table: to a client they are opaque. */
export class TokenStore {
  readonly #options: TokenStoreOptions
  readonly #key = randomBytes(64)
  readonly #keyId = randomBytes(20).toString('hex').toUpperCase()
  readonly #access = new Map<string, Pair>()
  readonly #refresh = new Map<string, Pair>()
  #serial = 0

  constructor(options: TokenStoreOptions) {
    this.#options = options
  }

  open(username: string, { shortTerm = false, claims = {} }: SessionWish): Pair {
    return this.issue({ id: randomUUID(), username, shortTerm, claims, alive: true })
  }

  issue(session: Session): Pair {
    const { now, tokenLife, refreshLife } = this.#options
    this.#forget()
    const issuedAt = now()
    const pair: Pair = {
      session,
      id: randomUUID(),
      access: '',
      refresh: '',
      issuedAt,
      expiresIn: Math.max(1, Math.floor(tokenLife)),
      expiresAt: issuedAt + tokenLife * 1000,
      refreshExpiresAt: issuedAt + refreshLife(session) * 1000,
    }
    const iat = Math.floor(issuedAt / 1000)
    const refreshSeconds = Math.max(1, Math.floor(refreshLife(session)))
    pair.access = this.#sign({ ...this.#options.claims('access', pair, iat, iat + pair.expiresIn), ...session.claims })
    pair.refresh = this.#sign({
      ...this.#options.claims('refresh', pair, iat, iat + refreshSeconds),
      ...session.claims,
    })
    this.#access.set(pair.access, pair)
    this.#refresh.set(pair.refresh, pair)
    return pair
  }

  /** An access token stays good until its own expiry, also after its pair was renewed. */
  check(access: string | undefined): Pair | 'missing' | 'unknown' | 'expired' {
    if (access === undefined) return 'missing'
    const pair = this.#access.get(access)
    if (!pair?.session.alive) return 'unknown'
    return this.#options.now() < pair.expiresAt ? pair : 'expired'
  }

  /** The pair a refresh token belongs to while it is good; the token is not spent by looking. */
  findRefresh(token: string): Pair | undefined {
    const pair = this.#refresh.get(token)
    if (!pair?.session.alive) return undefined
    return this.#options.now() < pair.refreshExpiresAt ? pair : undefined
  }

  /** A refresh token works once. */
  renew(pair: Pair): Pair {
    this.#refresh.delete(pair.refresh)
    return this.issue(pair.session)
  }

  revoke(what: 'access' | 'refresh' | 'all'): void {
    if (what !== 'refresh') this.#access.clear()
    if (what !== 'access') this.#refresh.clear()
  }

  #forget(): void {
    const limit = this.#options.now() - memory
    for (const [token, pair] of this.#access) {
      if (pair.expiresAt > limit) break
      this.#access.delete(token)
    }
    for (const [token, pair] of this.#refresh) {
      if (pair.refreshExpiresAt > limit) break
      this.#refresh.delete(token)
    }
  }

  /** 256 bytes of signature, as long as the vendor's RSA ones; the serial keeps two tokens of one second apart. */
  #sign(claims: Claims): string {
    const head = encode({ alg: this.#options.algorithm, kid: this.#keyId, typ: 'JWT' })
    const text = `${head}.${encode(claims)}`
    this.#serial += 1
    const parts = [0, 1, 2, 3].map(part =>
      createHmac('sha512', this.#key).update(`${this.#serial}/${part}/${text}`).digest(),
    )
    return `${text}.${Buffer.concat(parts).toString('base64url')}`
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
