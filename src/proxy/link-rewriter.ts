import { LinkBytes } from './link-bytes.ts'
import { LinkCandidate } from './link-candidate.ts'
import { JsonLinks } from './link-json.ts'
import { XmlLinks } from './link-xml.ts'
import type { Standpoint } from './links.ts'

export type LinkFormat = 'json' | 'xml'

/** Types that have been judged, of which an appliance has a few. */
const formats = new Map<string, LinkFormat | 'none'>()
const MOST_TYPES = 64

/** In which format the body of an answer holds links; undefined where it can hold none that are ours to rewrite. */
export function linkFormatOf(contentType: string | undefined): LinkFormat | undefined {
  if (contentType === undefined) return undefined
  let format = formats.get(contentType)
  if (format === undefined) {
    format = judged(contentType)
    if (formats.size < MOST_TYPES) formats.set(contentType, format)
  }
  return format === 'none' ? undefined : format
}

function judged(contentType: string): LinkFormat | 'none' {
  const media = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (/^application\/json$|^[^/]+\/[^/]+\+json$/.test(media)) return 'json'
  if (/^(application|text)\/xml$|^[^/]+\/[^/]+\+xml$/.test(media)) return 'xml'
  return 'none'
}

/**
 * Turns the appliance's links in one answer's body into the caller's, and leaves every other byte as it is. What comes
 * out does not depend on how the body is cut into chunks. No body is too broken for it, and it holds no more than one
 * value that may still become a link, of 2 KiB at most.
 */
export class LinkRewriter {
  readonly #bytes = new LinkBytes()
  readonly #links: JsonLinks | XmlLinks

  constructor(standpoint: Standpoint, format: LinkFormat) {
    this.#links =
      format === 'json'
        ? new JsonLinks(new LinkCandidate(standpoint, this.#bytes, inJson))
        : new XmlLinks(new LinkCandidate(standpoint, this.#bytes, inXml))
  }

  /** @returns what can go out by now; the chunk's own memory where nothing was rewritten, so it must stay untouched */
  write(chunk: Buffer): Buffer {
    this.#bytes.take(chunk)
    return this.#bytes.pass(this.#links.scan(chunk))
  }

  /** @returns what was held, when no more is to come */
  end(): Buffer {
    this.#bytes.take(Buffer.alloc(0))
    return this.#bytes.pass(0)
  }
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function inXml(text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
}
