/** Where an appliance is, seen from upstream and from one caller. */
export interface Standpoint {
  /** Of the appliance: `https://host:port`, the port left out where it is the scheme's own. */
  origin: string
  /** Of the caller's request: `http://localhost:8080`. */
  caller: string
  /** What the caller's path had before the appliance's own: `/NAME`, or nothing. */
  mount: string
}

/**
 * A link of the appliance as the caller can follow it. Links to other places stay as they are, and so do relative
 * ones; root-relative ones get the mount.
 */
export function rewriteLink(value: string, from: Standpoint): string {
  if (value.startsWith('/') && !value.startsWith('//')) return from.mount + value
  if (!/^(https?:)?\/\//i.test(value)) return value
  if (!URL.canParse(value, from.origin) || new URL(value, from.origin).origin !== from.origin) return value
  return from.caller + from.mount + rest(value)
}

/**
 * The value of a `Link` field (RFC 8288, section 3): the targets of its links, which stand in angle brackets, led
 * through `link`. What is quoted is no target; a quote that is never closed lasts to the end, so that each is looked
 * for once.
 */
export function rewriteTargets(value: string, link: (target: string) => string): string {
  return value.replace(/"(?:[^"\\]|\\.)*\\?(?:"|$)|<([^<>]*)>/g, (whole, target?: string) =>
    target === undefined ? whole : `<${link(target)}>`,
  )
}

/** What follows scheme and authority, byte for byte. */
function rest(link: string): string {
  const [, tail = ''] = /^[^/]*\/\/[^/?#]*(.*)$/s.exec(link) ?? []
  return tail.startsWith('/') ? tail : `/${tail}`
}
