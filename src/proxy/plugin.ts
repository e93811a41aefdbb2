import { type IncomingMessage, METHODS } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance } from 'fastify'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import { checkAccess } from './access.ts'
import { forward } from './forward.ts'
import { type Target, targetOf } from './mount.ts'

/** Everything that can be forwarded: CONNECT asks for a tunnel, and TRACE would echo the session's fields. */
const FORWARDED_METHODS = METHODS.filter(method => method !== 'CONNECT' && method !== 'TRACE')

/**
 * Mounts every appliance under `/NAME/`. Which there are is asked at each request, so that a new configuration needs
 * no new routes. @fastify/http-proxy checks the path and hands over to `forward`; its own sender stays unused.
 */
export async function proxy(
  app: FastifyInstance,
  parts: { appliances: ReadonlyMap<string, Appliance> },
): Promise<void> {
  for (const method of FORWARDED_METHODS) app.addHttpMethod(method, { hasBody: true, overrideExisting: true })
  await app.register(httpProxy, {
    prefix: '/:appliance',
    upstream: '',
    httpMethods: FORWARDED_METHODS,
    // Its own sender stays unused: an upstream is asked for all the same.
    replyOptions: { getUpstream: () => '' },
    async handler(request, reply) {
      const { appliance, target } = find(request.raw)
      const { account } = request
      account.appliance = appliance.name
      account.path = target.path
      checkAccess(appliance, account.caller, request.method, target.path)
      reply.hijack()
      forward(appliance, { request: request.raw, response: reply.raw, target, account })
    },
  })

  function find(request: IncomingMessage): { appliance: Appliance; target: Target } {
    const target = targetOf(request)
    const appliance = target && parts.appliances.get(target.name)
    if (target !== undefined && appliance !== undefined) return { appliance, target }
    if (request.url?.startsWith('/-/')) throw new Failure('UNKNOWN_PATH', 'The proxy has no such page of its own.')
    const names = [...parts.appliances.keys()]
    const said =
      target === undefined ? 'The path begins with no name of an appliance' : `There is no appliance ${target.name}`
    throw new Failure('UNKNOWN_APPLIANCE', `${said}; there are: ${names.join(', ')}.`, {
      extensions: { appliances: names },
    })
  }
}
