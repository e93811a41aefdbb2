import { METHODS } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance } from 'fastify'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import { checkAccess } from './access.ts'
import { forward } from './forward.ts'
import { applianceOf, mountOf, pathOf } from './mount.ts'

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
    replyOptions: { getUpstream: request => find(request.url).origin },
    async handler(request, reply) {
      const appliance = find(request.url)
      const path = pathOf(request.url)
      const { account } = request
      account.appliance = appliance.name
      account.path = path
      checkAccess(appliance, account.caller, request.method, path)
      reply.hijack()
      await forward(appliance, {
        request: request.raw,
        response: reply.raw,
        path,
        account,
        mount: mountOf(request.raw),
      })
    },
  })

  function find(url: string): Appliance {
    const name = applianceOf(url)
    const appliance = parts.appliances.get(name)
    if (appliance !== undefined) return appliance
    if (name === '-') throw new Failure('UNKNOWN_PATH', 'The proxy has no such page of its own.')
    const names = [...parts.appliances.keys()]
    const detail = `There is no appliance ${JSON.stringify(name)}; there are: ${names.join(', ')}.`
    throw new Failure('UNKNOWN_APPLIANCE', detail, { extensions: { appliances: names } })
  }
}
