import { missingPackage } from '../site.ts'
import { type Contestant, startProgram } from './contestant.ts'

/** As its README shows it, with the session's field set and the certificate verified. */
export const fastifyHttpProxy: Contestant = {
  name: '@fastify/http-proxy',
  kind: 'proxy',
  available: () => missingPackage('@fastify/http-proxy'),
  start: site => startProgram(site, 'fastify-http-proxy'),
}
