/** Nothing to decode, resolve or cut off, which is nearly every request. Linear: its classes do not overlap. */
const PLAIN = /^(?:\/[\w~-]+(?:\.[\w~-]+)*)+$/

/** `/`, then visible ASCII but for the backslash and the fragment's delimiter. */
const RAW = /^\/[!"$-[\]-~]*$/

const ASCII = /^\p{ASCII}*$/u

/** What ends or divides a segment somewhere; only ASCII may spell it. */
const DELIMITERS = /[./\\;%?#]/

/**
 * What a decoded segment may not hold: delimiters of another level, what becomes one in a Windows code page (the
 * slashes of mathematics, the yen and won signs), and what is not seen: controls, joiners, unassigned code points.
 */
const DOUBTFUL =
  /[/\\?#\u2044\u2215\u2216\u29f5\u29f8\u29f9\u00a5\u20a9\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u

/** What a server that decodes twice, or knows the `%uXXXX` of IIS, would decode again. */
const ENCODED_AGAIN = /%(?:[0-9a-f]{2}|u[0-9a-f]{4})/

/** The lookbehind keeps it linear on long runs of dots. */
const TRAILING = /(?<![.\s])[.\s]+$/

/**
 * The one form in which rules see a path: decoded once, dot segments resolved, case and compatibility forms folded
 * (NFKC), empty segments, `;params` and the dots and spaces at a segment's end gone, no slash at the end. The query is
 * left out. It is for judging only and never sent: what it folds together, an appliance may tell apart.
 *
 * Undefined where two servers could read two different paths: the caller answers 400. That goes for
 * - broken percent-encoding, UTF-8 that is overlong or otherwise wrong, `%u002f`, and whatever decodes a second time
 * - an encoded `/`, `\`, `?` or `#`, always: http.sys divides segments at `%2F`, Kestrel does not, and this form could
 *   not say which was meant. No id or name of the products holds one, and no tool known to us sends one; `%3A`, `%2B`,
 *   `%40` and the rest are plain text
 * - raw backslashes, `#`, controls, non-ASCII bytes, and what folds into a delimiter, such as a fullwidth slash
 * - `..` above the root, or after an empty segment, which servers drop before or after they resolve `..`
 * - segments of nothing but dots, spaces or parameters (`...`, `..;x`, `;x`), which vanish, climb or stay
 * @param target path and query as they are forwarded, byte for byte
 */
export function canonicalPath(target: string): string | undefined {
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  if (PLAIN.test(path)) return path.toLowerCase()
  if (!RAW.test(path)) return undefined
  const resolved: string[] = []
  for (const raw of path.slice(1).split('/')) {
    const segment = decoded(raw)
    if (segment === undefined) return undefined
    if (segment === '.') continue
    if (segment === '..') {
      if (!resolved.pop()) return undefined
      continue
    }
    const bare = segment.replace(/;.*$/s, '').replace(TRAILING, '')
    if (bare === '' && segment !== '') return undefined
    resolved.push(bare)
  }
  return `/${resolved.filter(segment => segment !== '').join('/')}`
}

/** A segment, decoded and folded; undefined when it is in doubt. */
function decoded(raw: string): string | undefined {
  const text = raw.includes('%') ? percentDecoded(raw) : raw
  const segment = text === undefined || ASCII.test(text) ? text?.toLowerCase() : folded(text)
  if (segment === undefined || DOUBTFUL.test(segment) || ENCODED_AGAIN.test(segment)) return undefined
  return segment
}

function percentDecoded(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw)
  } catch {
    return undefined
  }
}

function folded(text: string): string | undefined {
  if (DELIMITERS.test(text.replace(/\p{ASCII}+/gu, '').normalize('NFKC'))) return undefined
  // By way of upper case, for servers that compare in it: only so does a dotless i become i. Lower case comes first, as
  // a capital sharp s has itself for upper case.
  const lower = text.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase()
  return lower.replace(/i\u0307+/g, 'i').normalize('NFKC')
}
