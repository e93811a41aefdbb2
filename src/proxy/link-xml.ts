import { beginsLink, END, type LinkCandidate } from './link-candidate.ts'

const LESS = 0x3c
const GREATER = 0x3e
const QUOTE = 0x22
const APOSTROPHE = 0x27
const SLASH = 0x2f
const EQUALS = 0x3d
const SPACE = 0x20

/** What stands in a tag and is no name's beginning. */
const IN_TAG = new Set([GREATER, QUOTE, APOSTROPHE, SLASH, EQUALS])

type Value = 'value' | 'candidate' | 'attribute'

/**
 * Finds attribute values and the texts behind start tags in XML that comes in pieces, and leads the candidate through
 * those that can be a link. Comments, CDATA sections, processing instructions and the document type are passed over.
 * It reads bytes, not characters, which is the same for all it looks for, and takes what is no XML as it comes.
 */
export class XmlLinks {
  readonly #candidate: LinkCandidate
  #reads: 'text' | 'fresh' | 'open' | 'declaration' | 'passed over' | 'tag' | 'gap' | 'name' | Value = 'text'
  /** The byte that ends the value being read. */
  #closer = LESS
  #startTag = false
  /** The byte before the chunk. */
  #before = 0
  /** How much of an attribute's name is `href` so far; -1 when it is another one. */
  #name = -1
  /** What is passed over ends with this byte so many times, and `>`. */
  #fence = 0
  #fences = 0
  #seen = 0

  constructor(candidate: LinkCandidate) {
    this.#candidate = candidate
  }

  /** @returns before which byte nothing is undecided */
  scan(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length) at = this.#read(chunk, at)
    this.#before = chunk.at(-1) ?? this.#before
    if (this.#reads !== 'candidate') return chunk.length
    const { start } = this.#candidate
    this.#candidate.shift(chunk.length)
    return start
  }

  #read(chunk: Buffer, at: number): number {
    switch (this.#reads) {
      case 'text':
        return this.#text(chunk, at)
      case 'fresh':
        return this.#freshText(chunk, at)
      case 'open':
        return this.#opened(chunk[at], at)
      case 'declaration':
        return this.#declaration(chunk[at], at)
      case 'passed over':
        return this.#passOver(chunk, at)
      case 'tag':
        return this.#tag(chunk, at)
      case 'gap':
        return this.#gap(chunk, at)
      case 'name':
        return this.#attributeName(chunk, at)
      case 'value':
        return this.#value(chunk[at], at)
      case 'candidate':
        return this.#candidates(chunk, at)
      case 'attribute':
        return this.#attribute(chunk, at)
    }
  }

  #text(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      if (chunk[at] !== LESS) continue
      this.#reads = 'open'
      return at + 1
    }
    return chunk.length
  }

  #freshText(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      if (byte <= SPACE) continue
      this.#reads = beginsLink(byte) ? 'candidate' : 'text'
      this.#closer = LESS
      this.#candidate.begin(at, 'otherwise')
      return at
    }
    return chunk.length
  }

  #candidates(chunk: Buffer, from: number): number {
    for (let at = this.#candidate.skim(chunk, from); at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      if (byte !== this.#closer && this.#candidate.take(byte, at)) continue
      if (byte === this.#closer) this.#candidate.take(END, at)
      this.#reads = this.#closer === LESS ? 'text' : 'attribute'
      return at
    }
    return chunk.length
  }

  #opened(byte: number | undefined, at: number): number {
    if (byte === 0x21) {
      this.#reads = 'declaration'
      return at + 1
    }
    if (byte === 0x3f) return this.#passUntil(0x3f, 1, at + 1)
    this.#reads = 'tag'
    this.#startTag = byte !== SLASH
    this.#name = -1
    return byte === SLASH ? at + 1 : at
  }

  /** Behind `<!`: a comment, a CDATA section, or the document type. */
  #declaration(byte: number | undefined, at: number): number {
    if (byte === 0x2d) return this.#passUntil(0x2d, 2, at + 1)
    if (byte === 0x5b) return this.#passUntil(0x5d, 2, at + 1)
    return this.#passUntil(0, 0, at)
  }

  #passUntil(fence: number, times: number, from: number): number {
    this.#reads = 'passed over'
    this.#fence = fence
    this.#fences = times
    this.#seen = 0
    return from
  }

  #passOver(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at]
      if (byte === GREATER && this.#seen >= this.#fences) {
        this.#reads = 'text'
        return at + 1
      }
      this.#seen = byte === this.#fence ? this.#seen + 1 : 0
    }
    return chunk.length
  }

  #tag(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      if (byte === GREATER) {
        const last = at === 0 ? this.#before : chunk[at - 1]
        this.#reads = this.#startTag && last !== SLASH ? 'fresh' : 'text'
        return at + 1
      }
      if (byte === QUOTE || byte === APOSTROPHE) {
        this.#closer = byte
        this.#reads = 'value'
        return at + 1
      }
      if (byte <= SPACE) {
        this.#reads = 'gap'
        return at + 1
      }
    }
    return chunk.length
  }

  #gap(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      if (byte <= SPACE) continue
      this.#reads = IN_TAG.has(byte) ? 'tag' : 'name'
      if (this.#reads === 'name') this.#name = 0
      return at
    }
    return chunk.length
  }

  #attributeName(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      if (this.#name < 4 && (byte | 0x20) === 'href'.charCodeAt(this.#name)) {
        this.#name += 1
        continue
      }
      if (byte !== EQUALS && byte > SPACE) this.#name = -1
      this.#reads = 'tag'
      return at
    }
    return chunk.length
  }

  #value(byte: number | undefined, at: number): number {
    this.#reads = beginsLink(byte) ? 'candidate' : 'attribute'
    this.#candidate.begin(at, this.#name === 4 ? 'href' : 'otherwise')
    this.#name = -1
    return at
  }

  #attribute(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      if (chunk[at] !== this.#closer) continue
      this.#reads = 'tag'
      return at + 1
    }
    return chunk.length
  }
}
