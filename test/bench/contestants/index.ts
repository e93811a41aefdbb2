import { caddy } from './caddy.ts'
import type { Contestant } from './contestant.ts'
import { direct } from './direct.ts'
import { fastifyHttpProxy } from './fastify-http-proxy.ts'
import { fleet } from './fleet.ts'
import { go } from './go.ts'
import { haproxy } from './haproxy.ts'
import { hello } from './hello.ts'
import { httpProxy } from './http-proxy.ts'
import { mitmproxy } from './mitmproxy.ts'
import { nginx } from './nginx.ts'
import { tlsClient } from './tls-client.ts'
import { cached, veeamAuthProxy, withoutLog } from './veeam-auth-proxy.ts'
import { withoutDefaults } from './without-defaults.ts'

/** In the order of the table, and of every round. */
export const contestants: readonly Contestant[] = [
  veeamAuthProxy,
  hello,
  tlsClient,
  direct,
  fastifyHttpProxy,
  httpProxy,
  nginx,
  haproxy,
  caddy,
  go,
  mitmproxy,
  withoutLog,
  withoutDefaults,
  cached,
  fleet,
]

export { cached, direct, fastifyHttpProxy, fleet, go, hello, nginx, tlsClient, veeamAuthProxy, withoutDefaults }
