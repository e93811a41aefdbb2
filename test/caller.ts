import {
  type Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
} from 'node:http'
import type { Readable } from 'node:stream'

/** A request that hangs fails its test instead of stopping the file; in milliseconds. */
const LONGEST_SILENCE = 20_000

export interface Call {
  method?: string
  /** Sent as it is: no URL parser touches it. */
  path: string
  fields?: OutgoingHttpHeaders
  body?: string | Buffer | Readable
  agent?: Agent
}

export interface Reply {
  status: number
  fields: IncomingHttpHeaders
  /** Name, value, name, value … as they arrived. */
  raw: string[]
  body: Buffer
  text: string
  /** Members of a JSON object; empty when the body is none. */
  json: Map<string, unknown>
}

/** Sends the head of a request and gives the answer before its body has been read. */
export function open(url: string, { method = 'GET', path, fields = {}, body, agent }: Call): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, method, path, headers: fields, agent: agent ?? false }, resolve)
    outgoing.once('error', reject)
    outgoing.setTimeout(LONGEST_SILENCE, () => outgoing.destroy(new Error('the proxy has fallen silent')))
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) outgoing.end(body)
    else body.pipe(outgoing)
  })
}

/** One request of a caller, its answer read to the end. Rejects when the answer is cut off. */
export async function call(url: string, request: Call): Promise<Reply> {
  const answer = await open(url, request)
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  const text = body.toString()
  const { statusCode: status = 0, headers, rawHeaders } = answer
  return { status, fields: headers, raw: rawHeaders, body, text, json: jsonOf(text) }
}

export function get(url: string, path: string, fields: OutgoingHttpHeaders = {}): Promise<Reply> {
  return call(url, { path, fields })
}

/** Gives a code to an appliance as a person would. */
export function giveCode(url: string, code: string, name = 'box'): Promise<Reply> {
  return call(url, {
    method: 'POST',
    path: `/-/appliances/${name}/code`,
    fields: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  })
}

/** The entry of one appliance in `/-/status`. */
export async function statusOf(url: string, name = 'box'): Promise<Map<string, unknown>> {
  const { json } = await get(url, '/-/status')
  const all = json.get('appliances')
  const entries: Record<string, unknown>[] = Array.isArray(all) ? all : []
  const found = entries.find(entry => entry.name === name)
  if (found === undefined) throw new Error(`no appliance ${name} in /-/status`)
  return new Map(Object.entries(found))
}

export function jsonOf(text: string): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
  } catch {
    return new Map()
  }
}

/** The values of a field in a flat list of names and values. */
export function valuesOf(raw: readonly string[], name: string): string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name.toLowerCase())
}
