import { readFileSync } from 'node:fs'
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'

const { port, origin, token, ca } = JSON.parse(process.argv[2])
const app = Fastify({ requestTimeout: 0 })
const authorization = `Bearer ${token}`
await app.register(httpProxy, {
  upstream: origin,
  undici: { connections: 256, pipelining: 1, connect: { ca: readFileSync(ca) } },
  replyOptions: { rewriteRequestHeaders: (_, headers) => ({ ...headers, authorization }) },
})
await app.listen({ port, host: '127.0.0.1' })
