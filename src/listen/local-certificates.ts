import type { CertificatePair } from './address.ts'
import { type LocalAuthority, openAuthority } from './local-authority.ts'
import { type KeyPair, makeKeyPair, makeLeaf } from './x509.ts'

const LIFE = 90 * 86_400_000
/** The part of its life after which a certificate is made anew. */
const RENEWAL = 0.6
/** Milliseconds between two looks at the clock, at most: it may be set, and the machine may sleep. */
const LONGEST_WAIT = 12 * 3_600_000

const LOOPBACK = ['localhost', '127.0.0.1', '::1']

interface Provided {
  names: () => readonly string[]
  take: (pair: CertificatePair) => void
  made: string
  /** Epoch milliseconds. */
  renewAt: number
}

/** Server certificates of the local authority, each made anew long before it ends. Their keys never reach a disk. */
export class LocalCertificates {
  readonly authority: LocalAuthority
  readonly #life: number
  readonly #keys: KeyPair
  readonly #provided = new Set<Provided>()
  #timer: NodeJS.Timeout | undefined

  private constructor(authority: LocalAuthority, keys: KeyPair, life: number) {
    this.authority = authority
    this.#keys = keys
    this.#life = life
  }

  /**
   * Makes the authority where the directory has none.
   * @param life of each certificate, in milliseconds
   * @throws LocalAuthorityError
   */
  static async open({ directory, life = LIFE }: { directory: string; life?: number }): Promise<LocalCertificates> {
    const [authority, keys] = await Promise.all([openAuthority(directory), makeKeyPair()])
    return new LocalCertificates(authority, keys, life)
  }

  /**
   * Hands over a certificate for the loopback addresses and the given names, now and at every renewal.
   * @param names below localhost
   * @returns what ends that
   */
  provide(names: () => readonly string[], take: (pair: CertificatePair) => void): () => void {
    const provided = { names, take, made: '', renewAt: 0 }
    this.#provided.add(provided)
    this.refresh()
    return () => {
      this.#provided.delete(provided)
      this.#wait()
    }
  }

  /** Makes anew whatever is due or has other names now. */
  refresh(): void {
    const now = Date.now()
    for (const provided of this.#provided) {
      const names = [...new Set([...LOOPBACK, ...provided.names()])]
      if (now < provided.renewAt && provided.made === names.join()) continue
      const validity = { from: now, to: now + this.#life }
      const { cert, key } = makeLeaf(this.authority, { names, keys: this.#keys, validity })
      provided.take({ cert: cert + this.authority.cert, key })
      provided.made = names.join()
      provided.renewAt = now + this.#life * RENEWAL
    }
    this.#wait()
  }

  #wait(): void {
    clearTimeout(this.#timer)
    if (this.#provided.size === 0) return
    const next = Math.min(...[...this.#provided].map(({ renewAt }) => renewAt)) - Date.now()
    this.#timer = setTimeout(() => this.refresh(), Math.min(Math.max(next, 0), LONGEST_WAIT)).unref()
  }
}
