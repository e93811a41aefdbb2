import { canonicalPath } from './canonical-path.ts'

/** Whether a canonical path is among those that patterns name. */
export type PathTest = (canonical: string) => boolean

export interface PathRule {
  methods?: readonly string[] | undefined
  readOnly?: boolean | undefined
  paths?: PathTest | undefined
}

/** Methods that only read (RFC 9110, section 9.2.1). TRACE is not among them: it would echo the session's fields. */
export const readOnlyMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Which part of a rule denies a request, or undefined when the rule allows it. */
export function deniedBy(rule: PathRule, method: string, canonical: string): 'method' | 'path' | undefined {
  if (rule.readOnly && !readOnlyMethods.has(method)) return 'method'
  if (rule.methods !== undefined && !rule.methods.includes(method)) return 'method'
  if (rule.paths !== undefined && !rule.paths(canonical)) return 'path'
  return undefined
}

/** The product's entry for a path that hands out or ends credentials, whatever the method. */
export function credentialPath<Entry extends { readonly path: RegExp }>(
  product: { readonly credentialPaths: readonly Entry[] },
  canonical: string,
): Entry | undefined {
  return product.credentialPaths.find(({ path }) => path.test(canonical))
}

/**
 * Compiles path patterns: whole paths in any case, where a `*` stands for any characters within its segment (one at
 * most in each; alone, for exactly one segment) and a last segment `**` for any number of segments, none included.
 * These limits keep matching linear. No pattern at all matches no path.
 * @throws TypeError naming the place of a pattern that cannot be read
 */
export function compilePaths(patterns: readonly string[]): PathTest {
  const sources = patterns.map((pattern, index) => {
    const mistake = mistakeIn(pattern)
    if (mistake !== undefined) throw new TypeError(`[${index}] ${JSON.stringify(pattern)}: ${mistake}`)
    return sourceOf(canonicalPattern(pattern) ?? '')
  })
  if (sources.length === 0) return () => false
  const any = new RegExp(`^(?:${sources.join('|')})$`)
  return canonical => any.test(canonical)
}

function mistakeIn(pattern: string): string | undefined {
  if (!pattern.startsWith('/')) return 'a path pattern begins with /'
  if (/[?#;[\]{}\p{Cs}]/u.test(pattern)) return 'only * and ** are wildcards, and ? # ; [ ] { } cannot be matched'
  const segments = pattern.split('/')
  if (segments.slice(0, -1).includes('**')) return '** can be the last segment only'
  if (segments.some(segment => segment !== '**' && segment.indexOf('*') !== segment.lastIndexOf('*'))) {
    return 'a segment can hold one * only, and ** must be a segment of its own'
  }
  const canonical = canonicalPattern(pattern)
  if (canonical === undefined) return 'no request has such a path: write characters as they are, not percent-encoded'
  if (canonical !== pattern.toLowerCase()) return `it would never match as it stands; write ${canonical}`
  return undefined
}

/** Patterns are written plainly where paths are percent-encoded. */
function canonicalPattern(pattern: string): string | undefined {
  return canonicalPath(encodeURI(pattern))
}

function sourceOf(pattern: string): string {
  if (pattern === '/') return '/'
  return pattern
    .slice(1)
    .split('/')
    .map(segment => {
      if (segment === '**') return '(?:/.*)?'
      if (segment === '*') return '/[^/]+'
      return `/${segment.replace(/[\\^$.+?()[\]{}|]/g, '\\$&').replace('*', '[^/]*')}`
    })
    .join('')
}
