import { type IncomingMessage, METHODS } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply } from 'fastify'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import { checkAccess } from './access.ts'
import { type Caller, mayUse } from './callers.ts'
import type { Guard } from './guard.ts'
import { APPLIANCE_ROUTE, type Target, targetOf } from './mount.ts'
import { pass } from './pass.ts'
import { type Emulated, type Emulating, emulate, emulatedIn } from './sign-in.ts'
import { isOffer, upgrade } from './upgrade.ts'

/** Everything that can be forwarded: CONNECT asks for a tunnel, and TRACE would echo the session's fields. */
const FORWARDED_METHODS = METHODS.filter(method => method !== 'CONNECT' && method !== 'TRACE')

/**
 * What Fastify sees of the type of a body: it would refuse one that it cannot understand, and a QUERY without any. Both
 * are the appliance's affair, which gets what the caller sent.
 */
const UNREAD = { 'content-type': 'application/octet-stream' }

/**
 * Mounts every appliance at one route, to which `routedUrl` leads. Which there are is asked at each request, so that a
 * new configuration needs no new routes. The request is taken over before the handler of @fastify/http-proxy, which
 * would take the path apart and put four URLs together (6 % of forwarding) for a sender that stays unused.
 */
export async function proxy(
  app: FastifyInstance,
  parts: { appliances: ReadonlyMap<string, Appliance>; guard: () => Guard; log: FastifyBaseLogger },
): Promise<void> {
  for (const method of FORWARDED_METHODS) app.addHttpMethod(method, { hasBody: true, overrideExisting: true })
  app.addHook('onRequest', (request, _, done) => {
    if (request.raw.headers['content-type'] !== undefined || request.method === 'QUERY') request.headers = UNREAD
    done()
  })
  await app.register(httpProxy, {
    prefix: APPLIANCE_ROUTE,
    routes: [''],
    upstream: '',
    httpMethods: FORWARDED_METHODS,
    replyOptions: { getUpstream: () => '' },
    preHandler(request, reply) {
      const { account } = request
      const { appliance, target } = find(request.raw, account.caller)
      account.appliance = appliance.name
      account.path = target.path
      const forwarded = { request: request.raw, response: reply.raw, target, account }
      const guard = parts.guard()
      const emulated = emulatedIn(appliance, request.raw, target.path, guard)
      if (emulated !== undefined)
        return answerFor({ appliance, ...forwarded, path: target.path, guard }, emulated, reply)
      // A sign-in is let in unproved. What a new configuration has made of it since, is not.
      if (guard.knowsCallers && account.caller === undefined) {
        throw new Failure('CALLER_UNKNOWN', 'Since this request came in, the proxy wants to know who calls.')
      }
      checkAccess(appliance, account.caller, request.method, target.path)
      reply.hijack()
      if (isOffer(request.raw)) {
        void upgrade(appliance, forwarded)
        return undefined
      }
      pass(appliance, forwarded, parts.log)
      return undefined
    },
    handler() {
      throw new Failure('INTERNAL', 'A request was not taken over.')
    },
  })

  function find(request: IncomingMessage, caller: Caller | undefined): { appliance: Appliance; target: Target } {
    const target = targetOf(request)
    const appliance = target && parts.appliances.get(target.name)
    if (target?.path.startsWith('/') === false) throw new Failure('BAD_REQUEST', 'The request line names no path.')
    if (target !== undefined && appliance !== undefined) return { appliance, target }
    const names = [...parts.appliances.keys()].filter(name => mayUse(caller, name))
    const said =
      target === undefined ? 'The path begins with no name of an appliance' : `There is no appliance ${target.name}`
    throw new Failure('UNKNOWN_APPLIANCE', `${said}; there are: ${names.join(', ')}.`, {
      extensions: { appliances: names },
    })
  }
}

async function answerFor(emulating: Emulating, emulated: Emulated, reply: FastifyReply): Promise<FastifyReply> {
  const { status, fields, body } = await emulate(emulated, emulating)
  return reply.code(status).headers(fields).send(body)
}
