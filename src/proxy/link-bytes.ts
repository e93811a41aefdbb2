const NONE: Buffer = Buffer.alloc(0)

interface Replacement {
  start: number
  end: number
  bytes: Buffer
}

/**
 * The bytes of an answer between coming in and going out. Positions count from the beginning of the chunk at hand; what
 * was held of the chunks before it has the negative ones.
 */
export class LinkBytes {
  #held = NONE
  #chunk = NONE
  #replacements: Replacement[] = []

  take(chunk: Buffer): void {
    this.#chunk = chunk
  }

  /** Puts other bytes in the place of those from `start` to before `end`; places come in rising order. */
  replace(start: number, end: number, bytes: Buffer): void {
    this.#replacements.push({ start, end, bytes })
  }

  /** What may go out now: everything before `until`, uncopied where nothing was replaced or held. The rest is held. */
  pass(until: number): Buffer {
    const out = this.#out(until)
    this.#held = this.#piece(until, this.#chunk.length)
    this.#chunk = NONE
    this.#replacements = []
    return out
  }

  #out(until: number): Buffer {
    const replacements = this.#replacements
    if (replacements.length === 0 && this.#held.length === 0) return this.#chunk.subarray(0, until)
    let size = this.#held.length + until
    for (const { start, end, bytes } of replacements) size += bytes.length - (end - start)
    const out = Buffer.allocUnsafe(size)
    let from = -this.#held.length
    let at = 0
    for (const { start, end, bytes } of replacements) {
      at += this.#copy(out, at, from, start)
      at += bytes.copy(out, at)
      from = end
    }
    this.#copy(out, at, from, until)
    return out
  }

  /** A copy, so that a few bytes held do not keep the memory of a whole chunk. */
  #piece(start: number, end: number): Buffer {
    if (start === end) return NONE
    const piece = Buffer.alloc(end - start)
    this.#copy(piece, 0, start, end)
    return piece
  }

  /** @returns how many bytes were copied */
  #copy(to: Buffer, at: number, start: number, end: number): number {
    const held = this.#held.length
    const old = start < 0 ? this.#held.copy(to, at, held + start, held + Math.min(end, 0)) : 0
    return end > 0 ? old + this.#chunk.copy(to, at + old, Math.max(start, 0), end) : old
  }
}
