import { LinkRewriter, linkFormatOf } from './link-rewriter.ts'
import type { Standpoint } from './links.ts'

/** Fields that would be untrue of a body that was changed. */
const OF_THE_BODY = new Set(['content-length', 'accept-ranges', 'digest', 'content-digest', 'content-md5'])

export interface Rewriting {
  rewriter: LinkRewriter
  /** As they go down: flat, for `writeHead`. */
  fields: string[]
}

/**
 * What turns the links in an answer's body into the caller's; undefined where it can hold none: no text of links, a part
 * of a body, or one that the appliance has encoded although it was asked not to.
 * @param fields as they would go down, flat
 */
export function rewritingOf(status: number, fields: readonly string[], standpoint: Standpoint): Rewriting | undefined {
  if (status === 206) return undefined
  const format = linkFormatOf(fieldOf(fields, 'content-type'))
  if (format === undefined || fieldOf(fields, 'content-encoding') !== undefined) return undefined
  const kept: string[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? ''
    const value = fields[i + 1] ?? ''
    const lower = name.toLowerCase()
    if (OF_THE_BODY.has(lower)) continue
    // It stands for other bytes from here on, if the same meaning (RFC 9110, section 8.8.1).
    kept.push(name, lower === 'etag' && !value.startsWith('W/') ? `W/${value}` : value)
  }
  return { rewriter: new LinkRewriter(standpoint, format), fields: kept }
}

function fieldOf(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((field, i) => i % 2 === 0 && field.toLowerCase() === name)
  return at === -1 ? undefined : fields[at + 1]
}
