import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import type { Appliance } from '../appliance.ts'
import { checkAccess } from './access.ts'
import { Account } from './account.ts'
import { type Accounting, openAccount, requestId } from './accounting.ts'
import { bringsBody } from './body.ts'
import type { Guard } from './guard.ts'
import { routedUrl, type Target, targetOf } from './mount.ts'
import { pass } from './pass.ts'
import { isOffer } from './upgrade.ts'

export interface ShortcutParts extends Accounting {
  appliances: ReadonlyMap<string, Appliance>
  guard: () => Guard
  /** As in `AppParts`. */
  root: () => string | undefined
  /** Whether requests are turned away now. */
  isOverloaded: () => boolean
  log: FastifyBaseLogger
}

/**
 * The way of a request that is to be forwarded and nothing else: a GET or HEAD of a program that need not prove anything,
 * and that no rule is against. The router, its hooks and their objects were a tenth of forwarding. What is in any way
 * otherwise, and every refusal, is left to them, so that each has one place.
 * @returns a function that tells whether it has taken a request
 */
export function shortcut(parts: ShortcutParts): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    if (!isPlain(request)) return false
    routedUrl(request, parts.root())
    const target = targetOf(request)
    const appliance = target && parts.appliances.get(target.name)
    if (target === undefined || appliance === undefined || parts.isOverloaded()) return false
    if (!isFree(request, target, appliance, parts.guard())) return false
    const account = openAccount(request, response, new Account(target.path, requestId(request.headers)), parts)
    account.appliance = appliance.name
    // As the router does: an error that nobody hears ends the process.
    response.on('error', unheard)
    pass(appliance, { request, response, target, account }, parts.log)
    return true
  }
}

function unheard(): void {}

/** Only asks for something, and comes from no page of a browser. */
function isPlain(request: IncomingMessage): boolean {
  const { method, headers } = request
  if (method !== 'GET' && method !== 'HEAD') return false
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) return false
  return headers['sec-fetch-dest'] === undefined && !bringsBody(request) && !isOffer(request)
}

/** Whether nobody has anything against it. Whoever has says so a second time, on the other way. */
function isFree(request: IncomingMessage, { path }: Target, appliance: Appliance, guard: Guard): boolean {
  if (guard.knowsCallers || guard.knowsOrigins || !path.startsWith('/')) return false
  try {
    guard.checkSender(request)
    checkAccess(appliance, undefined, request.method ?? '', path)
    return true
  } catch {
    return false
  }
}
