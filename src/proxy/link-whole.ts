import { type LinkFormat, LinkRewriter } from './link-rewriter.ts'
import type { Standpoint } from './links.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const SLASH = 0x2f
const COLON = 0x3a
const SPACE = 0x20
/** What a rewriter that sees the body piece by piece takes for a link in any case; see `LinkCandidate`. */
const LONGEST = 2048

/** What of a body another text takes the place of. */
interface Found {
  start: number
  end: number
  by: Buffer
}

/**
 * The same as a `LinkRewriter` makes of a body, for one that is there as a whole: it looks for slashes, of which there are
 * few, instead of reading every byte, which is a tenth of the work. JSON that escapes anything is left to the other.
 * @returns the body itself where it holds no link of the appliance
 */
export function rewriteWhole(body: Buffer, from: Standpoint, format: LinkFormat): Buffer {
  if (format !== 'json' || body.includes(BACKSLASH)) return piecewise(body, from, format)
  let slash = body.indexOf(SLASH)
  if (slash === -1) return body
  const pieces: Buffer[] = []
  const absolute = { ...originsOf(from.origin), by: inJson(from.caller + from.mount) }
  const rooted = inJson(from.mount)
  let at = 0
  for (; slash !== -1; slash = body.indexOf(SLASH, slash + 1)) {
    const found = body[slash - 1] === COLON ? absoluteAt(body, slash, absolute) : rootedAt(body, slash, rooted)
    if (found === undefined) continue
    pieces.push(body.subarray(at, found.start), found.by)
    at = found.end
  }
  if (pieces.length === 0) return body
  pieces.push(body.subarray(at))
  return Buffer.concat(pieces)
}

function inJson(text: string): Buffer {
  return Buffer.from(JSON.stringify(text).slice(1, -1))
}

function piecewise(body: Buffer, from: Standpoint, format: LinkFormat): Buffer {
  const rewriter = new LinkRewriter(from, format)
  const written = rewriter.write(body)
  const rest = rewriter.end()
  return rest.length === 0 ? written : Buffer.concat([written, rest])
}

/** An origin as a link can spell it, in lower case. */
interface Origins {
  withPort: string
  withoutPort: string
  /** Characters before `://`. */
  scheme: number
}

function originsOf(origin: string): Origins {
  const bare = origin.toLowerCase()
  const port = /:\d+$/.test(bare) ? '' : bare.startsWith('https:') ? ':443' : ':80'
  return { withPort: bare + port, withoutPort: withoutPort(bare), scheme: bare.indexOf(':') }
}

/** A value that begins with the appliance's origin. @param slash the first one behind its scheme */
function absoluteAt(body: Buffer, slash: number, origins: Origins & { by: Buffer }): Found | undefined {
  const start = slash - 1 - origins.scheme
  if (body[slash + 1] !== SLASH || body[start - 1] !== QUOTE) return undefined
  const end = endOf(body, start, origins.withPort) ?? endOf(body, start, origins.withoutPort)
  return end !== undefined && isLink(body, start, end) ? { start, end, by: origins.by } : undefined
}

/** A value called `href` that is relative to the root. */
function rootedAt(body: Buffer, slash: number, by: Buffer): Found | undefined {
  if (by.length === 0 || body[slash - 1] !== QUOTE || body[slash + 1] === SLASH || !isHref(body, slash))
    return undefined
  return { start: slash, end: slash, by }
}

/** Where an origin ends that stands at `start`, in any case; undefined when it does not. */
function endOf(body: Buffer, start: number, origin: string): number | undefined {
  const end = start + origin.length
  const next = body[end]
  if (next !== QUOTE && next !== SLASH && next !== 0x3f && next !== 0x23) return undefined
  return body.toString('latin1', start, end).toLowerCase() === origin ? end : undefined
}

function withoutPort(origin: string): string {
  return origin.replace(/^(https:.*):443$|^(http:.*):80$/, '$1$2')
}

/** A value and not a name; one link and not a sentence, unless it is called `href`. */
function isLink(body: Buffer, start: number, cut: number): boolean {
  const end = body.indexOf(QUOTE, cut)
  if (end === -1 || isName(body, end)) return false
  if (isHref(body, start)) return true
  let at = cut
  while (at < end && (body[at] ?? 0) > SPACE) at += 1
  if (at - start > LONGEST) return true
  while (at < end && (body[at] ?? 0) <= SPACE) at += 1
  return at === end
}

/** @param end of the text, where its closing quote is */
function isName(body: Buffer, end: number): boolean {
  let at = end + 1
  while ((body[at] ?? 0x100) <= SPACE) at += 1
  return body[at] === COLON
}

/** @param start of the value, behind its opening quote */
function isHref(body: Buffer, start: number): boolean {
  let at = start - 2
  while (at >= 0 && (body[at] ?? 0) <= SPACE) at -= 1
  if (body[at] !== COLON) return false
  at -= 1
  while (at >= 0 && (body[at] ?? 0) <= SPACE) at -= 1
  return at >= 5 && body.toString('latin1', at - 5, at + 1).toLowerCase() === '"href"'
}
