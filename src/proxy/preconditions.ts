import type { IncomingHttpHeaders } from 'node:http'

/** What an answer can be told apart by. */
export interface Validators {
  etag: string | undefined
  lastModified: string | undefined
}

/** Fields that make the appliance answer 304, which says nothing to anybody who has not the body already. */
export const preconditions = ['if-none-match', 'if-modified-since'] as const

export function hasPrecondition(headers: IncomingHttpHeaders): boolean {
  return headers['if-none-match'] !== undefined || headers['if-modified-since'] !== undefined
}

/** Whether the caller holds the very answer already, so that 304 tells it all (RFC 9110, section 13.2.2). */
export function callerHas({ etag, lastModified }: Validators, headers: IncomingHttpHeaders): boolean {
  const tags = headers['if-none-match']
  if (tags !== undefined) return tags.trim() === '*' || (etag !== undefined && tagsIn(tags).includes(opaque(etag)))
  const since = headers['if-modified-since']
  if (since === undefined || lastModified === undefined) return false
  return Date.parse(lastModified) <= Date.parse(since)
}

/** Compared weakly: two that mean the same are the same (RFC 9110, section 13.1.2). */
function tagsIn(list: string): string[] {
  return list.match(/"[^"]*"/g) ?? [list.trim()]
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}
