import { type Opening, openingOf } from './decoded-body.ts'
import { type LinkFormat, linkFormatOf } from './link-rewriter.ts'

/** Fields that would be untrue of a body that was changed. */
const OF_THE_BODY = new Set([
  'content-length',
  'content-encoding',
  'accept-ranges',
  'digest',
  'content-digest',
  'content-md5',
])

/** How the body of an answer is to be rewritten. */
export interface Rewriting {
  format: LinkFormat
  /** What undoes a coding that the appliance gave it although it was asked not to; it goes down as it is then. */
  opening: Opening | undefined
  /** As they go down: flat, for `writeHead`. */
  fields: string[]
}

/**
 * How the links in an answer's body are turned into the caller's; undefined where it can hold none: no text of links, a
 * part of a body, or one in a coding that is not known.
 * @param fields as they would go down, flat
 */
export function rewritingOf(status: number, fields: readonly string[]): Rewriting | undefined {
  if (status === 206) return undefined
  let type: string | undefined
  let coding: string | undefined
  const kept: string[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? ''
    const value = fields[i + 1] ?? ''
    const lower = name.toLowerCase()
    if (lower === 'content-type') type = value
    if (lower === 'content-encoding') coding = value
    if (OF_THE_BODY.has(lower)) continue
    // It stands for other bytes from here on, if the same meaning (RFC 9110, section 8.8.1).
    kept.push(name, lower === 'etag' && !value.startsWith('W/') ? `W/${value}` : value)
  }
  const format = linkFormatOf(type)
  if (format === undefined) return undefined
  const opening = coding === undefined ? undefined : openingOf(coding)
  if (coding !== undefined && opening === undefined) return undefined
  return { format, opening, fields: kept }
}
