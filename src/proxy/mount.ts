import type { IncomingMessage } from 'node:http'

// Inside, every path begins with the name of its appliance: /NAME/path. A request that came to NAME.localhost, or to a
// proxy that serves one appliance at its root, gets the name put in front here, and the rest of its bytes are kept.

const mounts = new WeakMap<IncomingMessage, string>()

/**
 * The path that a request is routed by.
 * @param root the appliance that is served at `/`, if there is such a one
 */
export function routedUrl(request: IncomingMessage, root: string | undefined): string {
  const url = request.url ?? '/'
  if (!url.startsWith('/')) return url
  const name = nameOfHost(request.headers.host) ?? (isOwn(url) ? undefined : root)
  if (name === undefined) return url
  mounts.set(request, '')
  return `/${name}${url}`
}

/** What the caller's path had before the appliance's own path: `/NAME`, or nothing. */
export function mountOf(request: IncomingMessage): string {
  return mounts.get(request) ?? `/${applianceOf(request.url ?? '')}`
}

/** The first segment of a routed path. */
export function applianceOf(url: string): string {
  const end = url.slice(1).search(/[/?]/)
  return end === -1 ? url.slice(1) : url.slice(1, end + 1)
}

/** What follows the first segment of a routed path, for the appliance; never empty. */
export function pathOf(url: string): string {
  const rest = url.slice(applianceOf(url).length + 1)
  return rest.startsWith('/') ? rest : `/${rest}`
}

function nameOfHost(host: string | undefined): string | undefined {
  return /^([a-z0-9][a-z0-9-]*)\.localhost(?::\d+)?$/i.exec(host ?? '')?.[1]?.toLowerCase()
}

/** The proxy's own pages keep their place where an appliance is served at the root. */
function isOwn(url: string): boolean {
  return url.startsWith('/-/')
}
