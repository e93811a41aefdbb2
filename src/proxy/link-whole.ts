import { type LinkFormat, LinkRewriter } from './link-rewriter.ts'
import type { Standpoint } from './links.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const SLASH = 0x2f
const COLON = 0x3a
const SPACE = 0x20
const AUTHORITY = Buffer.from('://')
const ROOTED = Buffer.from('"/')
/** What a rewriter that sees the body piece by piece takes for a link in any case; see `LinkCandidate`. */
const LONGEST = 2048

interface Replacement {
  start: number
  end: number
  by: string
}

/**
 * The same as a `LinkRewriter` makes of a body, for one that is there as a whole: it looks for what can begin a link
 * instead of reading every byte, which is a tenth of the work. JSON that escapes anything is left to the other.
 * @returns the body itself where it holds no link of the appliance
 */
export function rewriteWhole(body: Buffer, from: Standpoint, format: LinkFormat): Buffer {
  if (format !== 'json' || body.includes(BACKSLASH)) return piecewise(body, from, format)
  const found = [...absoluteIn(body, from), ...(from.mount === '' ? [] : rootedIn(body, from.mount))]
  if (found.length === 0) return body
  const pieces: Buffer[] = []
  let at = 0
  for (const { start, end, by } of found.sort((a, b) => a.start - b.start)) {
    pieces.push(body.subarray(at, start), Buffer.from(JSON.stringify(by).slice(1, -1)))
    at = end
  }
  pieces.push(body.subarray(at))
  return Buffer.concat(pieces)
}

function piecewise(body: Buffer, from: Standpoint, format: LinkFormat): Buffer {
  const rewriter = new LinkRewriter(from, format)
  const written = rewriter.write(body)
  const rest = rewriter.end()
  return rest.length === 0 ? written : Buffer.concat([written, rest])
}

/** Values that begin with the appliance's origin. */
function absoluteIn(body: Buffer, from: Standpoint): Replacement[] {
  const found: Replacement[] = []
  const first = body.indexOf(AUTHORITY)
  if (first === -1) return found
  const bare = from.origin.toLowerCase()
  const scheme = bare.indexOf(':')
  const port = /:\d+$/.test(bare) ? '' : bare.startsWith('https:') ? ':443' : ':80'
  for (let at = first; at !== -1; at = body.indexOf(AUTHORITY, at + 1)) {
    const start = at - scheme
    if (body[start - 1] !== QUOTE) continue
    const cut = endOf(body, start, bare + port) ?? endOf(body, start, withoutPort(bare))
    if (cut === undefined || !isLink(body, start, cut)) continue
    found.push({ start, end: cut, by: from.caller + from.mount })
  }
  return found
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

/** Values called `href` that are relative to the root. */
function rootedIn(body: Buffer, mount: string): Replacement[] {
  const found: Replacement[] = []
  for (let at = body.indexOf(ROOTED); at !== -1; at = body.indexOf(ROOTED, at + 1)) {
    const start = at + 1
    if (body[start + 1] !== SLASH && isHref(body, start)) found.push({ start, end: start, by: mount })
  }
  return found
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
