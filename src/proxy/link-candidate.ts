import type { LinkBytes } from './link-bytes.ts'
import type { Standpoint } from './links.ts'

/** In the place of a character: the value ends here. */
export const END = -1

/** A link that is still undecided after this many bytes is taken for one, so that no more than these are ever held. */
const LONGEST = 2048

const SLASH = 0x2f
const QUERY = 0x3f
const FRAGMENT = 0x23
const SPACE = 0x20

/** Whether a character can be the first of a link: of `http`, of a root-relative one, or of an escape in JSON. */
export function beginsLink(byte: number | undefined): boolean {
  return byte === 0x68 || byte === 0x48 || byte === SLASH || byte === 0x5c
}

/**
 * A value of which it is not known yet whether it is a link of the appliance. It is told the value's characters one by
 * one until it has decided, and puts the caller's address into the bytes when it has found a link.
 *
 * A value is a link when it begins with the appliance's origin and has no space in it: with one it is a sentence. What
 * is called `href` is a link with spaces too, and, under a mount, when it is root-relative.
 */
export class LinkCandidate {
  readonly #bytes: LinkBytes
  readonly #mount: Buffer
  readonly #base: Buffer
  /** The origin in lower case, and with its port in any case. */
  readonly #origin: Buffer
  /** How much of `#origin` has to be there. */
  readonly #least: number
  #start = 0
  /** Where the appliance's origin ends. */
  #cut = 0
  #href = false
  #matched = 0
  #phase: 'origin' | 'root' | 'rest' | 'space' = 'origin'

  /** @param spelt how text stands in a value of the answer's format */
  constructor(standpoint: Standpoint, bytes: LinkBytes, spelt: (text: string) => string) {
    const { origin, caller, mount } = standpoint
    this.#bytes = bytes
    this.#mount = Buffer.from(spelt(mount))
    this.#base = Buffer.from(spelt(caller + mount))
    const full = withPort(origin.toLowerCase())
    this.#origin = Buffer.from(full)
    this.#least = Buffer.byteLength(withoutPort(full))
  }

  get start(): number {
    return this.#start
  }

  /** @param start where the value begins, behind its quote */
  begin(start: number, named: 'href' | 'otherwise'): void {
    this.#start = start
    this.#href = named === 'href'
    this.#matched = 0
    this.#phase = 'origin'
  }

  /**
   * Goes over as much of the appliance's origin as stands there as it is, which is what most links begin with.
   * @returns where to go on
   */
  skim(chunk: Buffer, from: number): number {
    if (this.#phase !== 'origin') return from
    const origin = this.#origin
    let matched = this.#matched
    let at = from
    while (at < chunk.length && matched < origin.length && chunk[at] === origin[matched]) {
      at += 1
      matched += 1
    }
    this.#matched = matched
    return at
  }

  /** The chunk of this length is over and positions count from the next one. */
  shift(length: number): void {
    this.#start -= length
    this.#cut -= length
  }

  /**
   * @param at where the character begins
   * @returns whether the candidate wants to hear more
   */
  take(char: number, at: number): boolean {
    switch (this.#phase) {
      case 'origin':
        return this.#origins(char, at)
      case 'root':
        return char === SLASH ? false : this.#found(this.#start, this.#mount)
      case 'rest':
        if (char === END || at - this.#start > LONGEST) return this.#found(this.#cut, this.#base)
        if (char <= SPACE) this.#phase = 'space'
        return true
      case 'space':
        if (char === END) return this.#found(this.#cut, this.#base)
        return char <= SPACE && at - this.#start <= LONGEST
    }
  }

  #origins(char: number, at: number): boolean {
    const whole = this.#matched === this.#origin.length || this.#matched === this.#least
    if (whole && (char === END || char === SLASH || char === QUERY || char === FRAGMENT)) {
      this.#cut = at
      if (char === END || this.#href) return this.#found(at, this.#base)
      this.#phase = 'rest'
      return true
    }
    if (this.#matched === 0 && char === SLASH && this.#href && this.#mount.length > 0) {
      this.#phase = 'root'
      return true
    }
    if (lower(char) !== this.#origin[this.#matched]) return false
    this.#matched += 1
    return true
  }

  #found(end: number, address: Buffer): false {
    this.#bytes.replace(this.#start, end, address)
    return false
  }
}

function lower(char: number): number {
  return char >= 0x41 && char <= 0x5a ? char + 0x20 : char
}

function withPort(origin: string): string {
  if (/:\d+$/.test(origin)) return origin
  return origin + (origin.startsWith('https:') ? ':443' : ':80')
}

function withoutPort(origin: string): string {
  return origin.replace(/^(https:.*):443$|^(http:.*):80$/, '$1$2')
}
