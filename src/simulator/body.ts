import type { IncomingMessage } from 'node:http'
import { field } from './answer.ts'

const tokenBodyLimit = 64 * 1024

/** A request body as text; undefined when it is longer than 64 KiB, which no token request is. */
export async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > tokenBodyLimit) return undefined
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The media type in lower case, without parameters; empty when there is none. */
export function mediaType(request: IncomingMessage): string {
  return (field(request, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** The fields of a form: `+` is a space, as in every form decoder. undefined when a name occurs twice. */
export function parseForm(text: string): Map<string, string> | undefined {
  const fields = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (fields.has(name)) return undefined
    fields.set(name, value)
  }
  return fields
}

/** The top-level strings, numbers and booleans of a JSON object, as text; undefined when it is not an object. */
export function parseJsonFields(text: string): Map<string, string> | undefined {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const fields = new Map<string, string>()
  for (const [name, entry] of Object.entries(value)) {
    if (entry === null) continue
    if (typeof entry === 'object') return undefined
    fields.set(name, String(entry))
  }
  return fields
}

/** undefined when the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
