import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Account, CALLER_LEFT, type EndedRequest } from './account.ts'
import type { BeginTrace } from './trace.ts'

declare module 'fastify' {
  interface FastifyRequest {
    account: Account
  }
}

export interface Accounting {
  /** Told of every request when it has ended, also where its caller has left or its answer was cut off. */
  onRequest?: (account: Account, request: EndedRequest) => void
  /** Where tracing is on. */
  beginTrace?: BeginTrace | undefined
}

/** Opens an account for every request, before anybody else sees it. */
export function accountForEverything(app: FastifyInstance, parts: Accounting): void {
  app.decorateRequest('account')
  app.addHook('onRequest', (request, reply, done) => {
    openAccount(request, reply, parts)
    done()
  })
}

/** Opens the account of one request, and names it to its caller in the answers that Fastify sends. */
export function openAccount(
  request: FastifyRequest,
  reply: FastifyReply,
  { onRequest, beginTrace }: Accounting,
): Account {
  const { id, method } = request
  const { raw } = reply
  const account = new Account(request.originalUrl, id)
  request.account = account
  account.trace = beginTrace?.(request.raw)
  reply.header('x-request-id', id)
  // Not Fastify's onResponse: nobody hears it when an answer does not come to its end.
  raw.once('close', () => {
    account.end()
    const status = raw.headersSent ? raw.statusCode : CALLER_LEFT
    const ended = { method, status, id, whole: raw.writableFinished }
    account.trace?.ended(account, ended)
    onRequest?.(account, ended)
  })
  return account
}
