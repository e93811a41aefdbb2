import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'

const own = new WeakMap<ServerResponse, [name: string, value: string][]>()

const NONE: readonly (readonly [name: string, value: string])[] = []

/**
 * Sets a field on the answer to a request, whoever gives it. On the raw response it would come down in the place of the
 * appliance's fields of that name; together both count (RFC 9110, section 12.5.5; CSP Level 3, section 8.1).
 */
export function setOwnField(reply: FastifyReply, name: string, value: string): void {
  reply.header(name, value)
  const fields = own.get(reply.raw)
  if (fields === undefined) own.set(reply.raw, [[name, value]])
  else fields.push([name, value])
}

/** What was set on it by `setOwnField`. */
export function ownFieldsOf(response: ServerResponse): readonly (readonly [name: string, value: string])[] {
  return own.get(response) ?? NONE
}

/** What one caller gets beside the appliance's fields, flat: what was set by `setOwnField`, and the request's id. */
export function callersFields(response: ServerResponse, { id }: { id: string }): string[] {
  const fields = own.get(response)
  return fields === undefined ? ['X-Request-Id', id] : [...fields.flat(), 'X-Request-Id', id]
}
