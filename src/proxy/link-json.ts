import { beginsLink, END, type LinkCandidate } from './link-candidate.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OBJECT = 1
const ARRAY = 2

/**
 * Strings that lie deeper than this are not looked at, so that a body of brackets alone takes no memory: a typed array
 * takes nothing in behind its end, and has nothing there.
 */
const DEEPEST = 1024
/** Most answers are no deeper: a longer array for each of them kept the garbage collector busy. */
const USUALLY = 32

/** What an escape other than `\u` stands for. */
const ESCAPED = new Map([...'"\\/'].map(char => [char.charCodeAt(0), char.charCodeAt(0)]))
for (const [letter, code] of Object.entries({ b: 8, t: 9, n: 10, f: 12, r: 13 }))
  ESCAPED.set(letter.charCodeAt(0), code)

/**
 * Finds the string values in JSON (RFC 8259) that comes in pieces, and leads the candidate through those that can be a
 * link. It reads bytes, not characters, which is the same for all it looks for, and takes what is no JSON as it comes.
 */
export class JsonLinks {
  readonly #candidate: LinkCandidate
  #reads: 'structure' | 'string' | 'name' | 'value' | 'candidate' = 'structure'
  /** How many bytes of the next chunk are already done. */
  #skip = 0
  #containers = new Uint8Array(USUALLY)
  #depth = 0
  #afterColon = false
  /** How much of a member's name is `href` so far; all of it when its value comes. */
  #name = 0
  #escape = ''
  #escapedAt = 0

  constructor(candidate: LinkCandidate) {
    this.#candidate = candidate
    this.#containers[0] = ARRAY
  }

  /** @returns before which byte nothing is undecided */
  scan(chunk: Buffer): number {
    let at = this.#skip
    while (at < chunk.length) at = this.#read(chunk, at)
    this.#skip = at - chunk.length
    if (this.#reads !== 'candidate') return chunk.length
    const { start } = this.#candidate
    this.#candidate.shift(chunk.length)
    this.#escapedAt -= chunk.length
    return start
  }

  #read(chunk: Buffer, at: number): number {
    switch (this.#reads) {
      case 'structure':
        return this.#structure(chunk, at)
      case 'string':
        return this.#string(chunk, at)
      case 'name':
        return this.#memberName(chunk, at)
      case 'value':
        return this.#value(chunk, at)
      case 'candidate':
        return this.#candidates(chunk, at)
    }
  }

  #structure(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      switch (chunk[at]) {
        case QUOTE:
          this.#reads = this.#opened()
          return at + 1
        case 0x3a: // :
          this.#afterColon = true
          break
        case 0x2c: // ,
          this.#leaveMember()
          break
        case 0x7b: // {
          this.#enter(OBJECT)
          break
        case 0x5b: // [
          this.#enter(ARRAY)
          break
        case 0x7d: // }
        case 0x5d: // ]
          this.#depth = Math.max(0, this.#depth - 1)
          this.#leaveMember()
      }
    }
    return chunk.length
  }

  #enter(container: number): void {
    this.#depth += 1
    if (this.#depth === this.#containers.length && this.#depth < DEEPEST) this.#grow()
    this.#containers[this.#depth] = container
    this.#leaveMember()
  }

  #grow(): void {
    const grown = new Uint8Array(this.#containers.length * 2)
    grown.set(this.#containers)
    this.#containers = grown
  }

  #leaveMember(): void {
    this.#afterColon = false
    this.#name = 0
  }

  #opened(): 'name' | 'value' | 'string' {
    const container = this.#containers[this.#depth]
    if (container === ARRAY || (container === OBJECT && this.#afterColon)) return 'value'
    return container === OBJECT ? 'name' : 'string'
  }

  #string(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at]
      if (byte === QUOTE) {
        this.#reads = 'structure'
        return at + 1
      }
      if (byte === BACKSLASH) {
        at += 1
        if (at === chunk.length) return at + 1
      }
    }
    return chunk.length
  }

  #memberName(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      if (this.#name === 4 && byte === QUOTE) {
        this.#reads = 'structure'
        return at + 1
      }
      if ((byte | 0x20) !== 'href'.charCodeAt(this.#name)) {
        this.#name = 0
        this.#reads = 'string'
        return at
      }
      this.#name += 1
    }
    return chunk.length
  }

  #value(chunk: Buffer, at: number): number {
    this.#reads = beginsLink(chunk[at]) ? 'candidate' : 'string'
    if (this.#reads === 'candidate') this.#candidate.begin(at, this.#name === 4 ? 'href' : 'otherwise')
    return at
  }

  #candidates(chunk: Buffer, from: number): number {
    const skimmed = this.#escape === '' ? this.#candidate.skim(chunk, from) : from
    for (let at = skimmed; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      if (this.#escape !== '') {
        const char = this.#unescape(byte)
        if (char === undefined) continue
        this.#escape = ''
        if (Number.isNaN(char) || !this.#candidate.take(char, this.#escapedAt)) {
          this.#reads = 'string'
          return Number.isNaN(char) ? at : at + 1
        }
        continue
      }
      if (byte === BACKSLASH) {
        this.#escape = '\\'
        this.#escapedAt = at
        continue
      }
      if (byte === QUOTE) {
        this.#candidate.take(END, at)
        this.#reads = 'structure'
        return at + 1
      }
      if (!this.#candidate.take(byte, at)) {
        this.#reads = 'string'
        return at + 1
      }
    }
    return chunk.length
  }

  /** @returns what the escape stands for; undefined while it goes on, NaN when it is none */
  #unescape(byte: number): number | undefined {
    if (this.#escape === '\\' && byte !== 0x75) return ESCAPED.get(byte) ?? Number.NaN
    this.#escape += String.fromCharCode(byte)
    if (!/^\\u[0-9a-f]*$/i.test(this.#escape)) return Number.NaN
    return this.#escape.length === 6 ? Number.parseInt(this.#escape.slice(2), 16) : undefined
  }
}
