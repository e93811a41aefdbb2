import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Guard } from './guard.ts'
import { targetOf } from './mount.ts'
import { setOwnField } from './own-fields.ts'

/** Asked by orchestrators, which prove nothing, and telling nothing that is worth it. */
const OPEN = new Set(['/-/livez', '/-/readyz'])

/** How long a browser may remember an answer about what an origin may do, in seconds. */
const PREFLIGHT_AGE = '600'

/**
 * Puts the guard before every route. Which one is in force is asked at each request.
 * @param bringsItsProof whether a request is let in by somebody unknown, because what it is answered depends on a proof
 * in its body
 */
export function guardEverything(
  app: FastifyInstance,
  guardNow: () => Guard,
  bringsItsProof: (request: IncomingMessage, guard: Guard) => boolean,
): void {
  app.addHook('onRequest', (request, reply, done) => {
    const guard = guardNow()
    if (guard.knowsOrigins) setOwnField(reply, 'Vary', 'Origin')
    if (isForeignPage(request.raw)) setOwnField(reply, 'Content-Security-Policy', 'sandbox')
    try {
      const origin = guard.checkSender(request.raw)
      if (origin !== undefined && answeredAcross(origin, request.raw.headers, request.method, reply)) return
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
      return
    }
    if (!guard.knowsCallers || OPEN.has(request.url) || bringsItsProof(request.raw, guard)) {
      done()
      return
    }
    guard.identify(request.raw).then(caller => {
      request.account.caller = caller
      done()
    }, done)
  })
}

/**
 * Whether a browser is about to show, or run, what an appliance says under the origin that all appliances have in common
 * with the proxy. A page among them could use the others and the proxy's own verbs; sandboxed, it has an origin of its
 * own, and the guard turns its requests away. As NAME.localhost an appliance has nobody's origin but its own.
 */
function isForeignPage(request: IncomingMessage): boolean {
  const destination = request.headers['sec-fetch-dest']
  if (destination === undefined || destination === 'empty') return false
  const target = targetOf(request)
  return target !== undefined && target.mount !== ''
}

/**
 * The fields that let a page of another origin read the answer (Fetch standard, CORS protocol).
 * @returns true when the request was only to ask whether it may, and has been answered
 */
function answeredAcross(
  origin: string,
  fields: { [name: string]: string | string[] | undefined },
  method: string,
  reply: FastifyReply,
): boolean {
  setOwnField(reply, 'Access-Control-Allow-Origin', origin)
  setOwnField(reply, 'Access-Control-Expose-Headers', '*')
  const wanted = fields['access-control-request-method']
  if (method !== 'OPTIONS' || typeof wanted !== 'string') return false
  setOwnField(reply, 'Access-Control-Allow-Methods', wanted)
  setOwnField(reply, 'Access-Control-Max-Age', PREFLIGHT_AGE)
  const names = fields['access-control-request-headers']
  if (typeof names === 'string') setOwnField(reply, 'Access-Control-Allow-Headers', names)
  reply.code(204).send()
  return true
}
