import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
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

/** Opens an account for every request that the router sees, before anybody else does. */
export function accountForEverything(app: FastifyInstance, parts: Accounting): void {
  app.decorateRequest('account')
  app.addHook('onRequest', (request, reply, done) => {
    accountFor(request, reply, parts)
    done()
  })
  app.addHook('onSend', ({ method, account }, _, body, done) => {
    const isWhole = typeof body === 'string' || Buffer.isBuffer(body)
    if (isWhole && method !== 'HEAD') account.bytesDown = Buffer.byteLength(body)
    done(null, body)
  })
}

/** Opens the account of one request, and names it to its caller in the answers that Fastify sends. */
export function accountFor(request: FastifyRequest, reply: FastifyReply, parts: Accounting): Account {
  const account = openAccount(request.raw, reply.raw, new Account(request.originalUrl, request.id), parts)
  request.account = account
  reply.header('x-request-id', request.id)
  return account
}

/** Closes an account when its request has ended, and tells of it. */
export function openAccount(
  request: IncomingMessage,
  response: ServerResponse,
  account: Account,
  { onRequest, beginTrace }: Accounting,
): Account {
  account.trace = beginTrace?.(request)
  // Not Fastify's onResponse: nobody hears it when an answer does not come to its end.
  response.on('close', () => {
    // Told twice where a connection ends with answers behind one another.
    if (account.hasEnded) return
    account.end()
    const { id } = account
    const status = response.headersSent ? response.statusCode : CALLER_LEFT
    const ended = { method: request.method ?? '', status, id, whole: response.writableFinished }
    account.trace?.ended(account, ended)
    onRequest?.(account, ended)
  })
  return account
}

/** What a request is called: by its caller's own name where that is fit to be written down. */
export function requestId({ 'x-request-id': given }: IncomingMessage['headers']): string {
  return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID()
}
