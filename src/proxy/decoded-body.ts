import { type Transform, Writable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib'
import { Failure } from '../errors.ts'
import type { Downstream } from './downstream.ts'
import type { LinkRewriter } from './link-rewriter.ts'

/** What undoes a content coding; it may look at the first byte of the body. */
export type Opening = (first: number) => Transform

const openings: Readonly<Record<string, Opening>> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  br: () => createBrotliDecompress(),
  // RFC 9110, section 8.4.1.2: it means the zlib format, and some servers send deflate without that around it.
  deflate: first => ((first & 0x0f) === 8 ? createInflate() : createInflateRaw()),
}

/** @returns undefined for a coding, or several, that cannot be undone here */
export function openingOf(coding: string): Opening | undefined {
  const name = coding.trim().toLowerCase()
  return Object.hasOwn(openings, name) ? openings[name] : undefined
}

/** Whom a body is decoded for. */
export interface Decoding {
  readonly response: Downstream
  /** The body cannot be understood. */
  broken(failure: Failure): void
}

/**
 * Takes the encoded body of an answer and gives it to the caller decoded, with its links rewritten, as fast as the
 * caller takes it. A body that cannot be decoded breaks the answer off.
 */
export class DecodedBody extends Writable {
  readonly #opening: Opening
  readonly #rewriter: LinkRewriter
  readonly #asked: Decoding
  readonly #response: Downstream
  #decoder: Transform | undefined

  constructor(opening: Opening, rewriter: LinkRewriter, asked: Decoding) {
    super()
    this.#opening = opening
    this.#rewriter = rewriter
    this.#asked = asked
    this.#response = asked.response
    asked.response.on('close', () => this.destroy())
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    const [first] = chunk
    if (first === undefined) return done()
    this.#decoder ??= this.#open(first)
    // Called back once what it decodes to has been taken; what it fails of is told by its own event.
    this.#decoder.write(chunk, () => done())
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#decoder === undefined) {
      this.#response.end()
      return done()
    }
    // Not before: whoever is done is destroyed, and takes its decoder along.
    this.#decoder.once('end', () => done()).end()
  }

  override _destroy(_: Error | null, done: (error?: Error | null) => void): void {
    this.#decoder?.destroy()
    done()
  }

  #open(first: number): Transform {
    const decoder = this.#opening(first)
    const response = this.#response
    decoder.on('data', (chunk: Buffer) => {
      const bytes = this.#rewriter.write(chunk)
      if (bytes.length === 0 || response.write(bytes)) return
      decoder.pause()
      response.once('drain', () => decoder.resume())
    })
    decoder.once('end', () => response.end(this.#rewriter.end()))
    decoder.once('error', error => {
      this.#asked.broken(new Failure('ANSWER_BROKEN', 'The body of the answer cannot be decoded.', { cause: error }))
    })
    return decoder
  }
}
