import type { RequestListener } from 'node:http'
import underPressure from '@fastify/under-pressure'
import Fastify, { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { Failure, messageOf } from './errors.ts'
import { type Accounting, accountFor, accountForEverything, requestId } from './proxy/accounting.ts'
import { mayUse } from './proxy/callers.ts'
import type { Guard } from './proxy/guard.ts'
import { guardEverything } from './proxy/guard-hook.ts'
import { routedUrl } from './proxy/mount.ts'
import { proxy } from './proxy/plugin.ts'
import { problemBody, problemFields } from './proxy/problem.ts'
import { shortcut } from './proxy/shortcut.ts'
import { bringsItsProof } from './proxy/sign-in.ts'
import { type StatusParts, status } from './status/plugin.ts'

export type { EndedRequest } from './proxy/account.ts'

export interface AppParts extends Accounting, StatusParts {
  /** The appliance that is served at `/` instead of under its name, if there is such a one. */
  root: () => string | undefined
  /** Addresses of an appliance. */
  servedAt: (name: string) => readonly string[]
  /** The one in force. */
  guard: () => Guard
  log: FastifyBaseLogger
  /** Milliseconds by which the event loop may lag, on average over a second, before requests are turned away. */
  longestDelay?: number | undefined
}

/** A start of a thousand appliances lags less than this; a process that lags more does not keep up. */
const LONGEST_DELAY = 3_000

/** Everything that is served, by whatever server: a Fastify instance that does not listen, and a way around it. */
export async function buildApp(parts: AppParts): Promise<RequestListener> {
  const app = Fastify({
    loggerInstance: parts.log,
    logController: new LogController({ disableRequestLogging: true }),
    rewriteUrl: request => routedUrl(request, parts.root()),
    // Names of appliances, and what follows them, are the appliance's affair.
    routerOptions: { ignoreTrailingSlash: false, caseSensitive: true },
    return503OnClosing: false,
    // A logger made for each request cost a twentieth of the whole request.
    childLoggerFactory: logger => logger,
    // A path that the router cannot decode, before any hook.
    frameworkErrors(error, request, reply) {
      const failure = failureOf(error)
      accountFor(request, reply, parts).failure = failure.code
      answer(reply, failure)
    },
    genReqId: ({ headers }) => requestId(headers),
  })
  accountForEverything(app, parts)
  guardEverything(app, parts.guard, (request, guard) => bringsItsProof(request, parts.appliances, guard))
  await app.register(underPressure, {
    maxEventLoopDelay: parts.longestDelay ?? LONGEST_DELAY,
    pressureHandler: turnAway,
  })
  app.setErrorHandler((error, request, reply) => {
    const failure = failureOf(error)
    request.account.failure = failure.code
    request.account.rule = failure.rule
    if (failure.code === 'INTERNAL') parts.log.error({ err: error, id: request.id }, 'the proxy failed')
    return answer(reply, failure)
  })
  app.setNotFoundHandler(request => {
    if (request.originalUrl.startsWith('/-/'))
      throw new Failure('UNKNOWN_PATH', 'The proxy has no such page of its own.')
    const names = [...parts.appliances.keys()].filter(name => mayUse(request.account.caller, name))
    throw new Failure('UNKNOWN_APPLIANCE', `There are these appliances: ${names.join(', ')}.`, {
      extensions: { appliances: names },
    })
  })
  await app.register(status, parts)
  await app.register(proxy, parts)
  await app.ready()
  const takes = shortcut({ ...parts, isOverloaded: () => app.isUnderPressure() })
  return (request, response) => {
    if (!takes(request, response)) app.routing(request, response)
  }
}

/** The proxy's own pages go on: they say that the process lives, and what it is doing. */
function turnAway(request: FastifyRequest): void {
  if (request.url.startsWith('/-/')) return
  throw new Failure('OVERLOADED', 'The process cannot keep up with its requests.', { retryAfter: 1_000 })
}

function answer(reply: FastifyReply, failure: Failure): FastifyReply {
  return reply.code(failure.status).headers(problemFields(failure)).send(problemBody(failure))
}

/** Fastify and its plugins answer bad requests with errors that carry a 4xx status. */
function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500) return new Failure('BAD_REQUEST', messageOf(error), { cause: error })
  return new Failure('INTERNAL', 'See the log.', { cause: error })
}
