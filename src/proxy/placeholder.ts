import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** What a placeholder can stand for. */
export type TokenKind = 'access' | 'refresh'

/** Whom a placeholder is bound to. */
export interface Holder {
  readonly name: string
  /** Of the holder's secret: with another secret its placeholders are no longer good. */
  readonly digest: Buffer
}

/** What an emulated sign-in gives out. */
export interface PlaceholderPair {
  access: string
  refresh: string
  /** Epoch milliseconds. */
  issuedAt: number
}

/** What a caller is told of the life of its access token, in seconds. */
export const TOLD_LIFE = 3_600

/** In milliseconds; an access token is good for longer than told, for callers that renew when it has ended. */
const LIFE: Readonly<Record<TokenKind, number>> = { access: (TOLD_LIFE + 300) * 1_000, refresh: 14 * 86_400_000 }

/** The name comes last: it is the only part that may hold a dot. */
const FORM = /^veeam-auth-proxy\.(access|refresh)\.([0-9a-z]{1,11})\.([\w-]{43})\.([\w.-]+)$/
/** Of nobody in particular; no caller can have it for a name. */
const ANYBODY = '-'

/**
 * What callers get instead of tokens. Whoever reads one learns nothing from it but who it was made for and until when;
 * it is good at this proxy alone, and there only where callers have to prove who they are.
 */
export class Placeholders {
  readonly #key: Buffer
  readonly #now: () => number

  /**
   * @param key of at least 32 bytes; with another one, what was given out before is good no longer
   * @param now epoch milliseconds
   */
  constructor(now: () => number, key: Buffer = randomBytes(32)) {
    this.#key = key
    this.#now = now
  }

  /** @param holder undefined where everybody may call, and nobody looks at placeholders */
  pair(holder?: Holder): PlaceholderPair {
    const issuedAt = this.#now()
    const make = (kind: TokenKind): string => this.#make(kind, issuedAt, holder)
    return { access: make('access'), refresh: make('refresh'), issuedAt }
  }

  /**
   * Whose placeholder this is, and whether it still counts.
   * @returns undefined when it is none, or was not made here for any of these holders as they are now
   */
  read<H extends Holder>(
    kind: TokenKind,
    text: string,
    holders: readonly H[],
  ): { holder: H; expired: boolean } | undefined {
    const [, shown, expiry = '', mac = '', name] = FORM.exec(text) ?? []
    const holder = holders.find(known => known.name === name)
    if (holder === undefined || shown !== kind) return undefined
    if (!timingSafeEqual(Buffer.from(mac, 'base64url'), this.#mac(kind, expiry, holder))) return undefined
    return { holder, expired: Number.parseInt(expiry, 36) * 1_000 <= this.#now() }
  }

  #make(kind: TokenKind, issuedAt: number, holder: Holder | undefined): string {
    const expiry = Math.ceil((issuedAt + LIFE[kind]) / 1_000).toString(36)
    const mac = holder === undefined ? randomBytes(32) : this.#mac(kind, expiry, holder)
    return `veeam-auth-proxy.${kind}.${expiry}.${mac.toString('base64url')}.${holder?.name ?? ANYBODY}`
  }

  #mac(kind: TokenKind, expiry: string, { name, digest }: Holder): Buffer {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([kind, expiry, name, digest.toString('base64')]))
      .digest()
  }
}
