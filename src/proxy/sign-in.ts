import type { IncomingMessage } from 'node:http'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import { canonicalPath } from '../policy/canonical-path.ts'
import { credentialPath } from '../policy/path-rules.ts'
import type { Account } from './account.ts'
import type { Guard } from './guard.ts'
import { targetOf } from './mount.ts'
import { problemFields, problemOf } from './problem.ts'
import { signInAnswer } from './sign-in-answer.ts'
import { shownIn } from './sign-in-form.ts'

/** What the proxy does in the place of an appliance; `withhold` says no in the appliance's own form. */
export type Emulated = { act: 'sign-in' } | { act: 'withhold' } | { act: 'sign-out'; status: number }

export interface EmulatedAnswer {
  status: number
  fields: Record<string, string>
  /** Undefined: none. */
  body: Buffer | undefined
}

/**
 * What the proxy answers itself where callers' sign-ins are emulated, whichever way the path is spelled.
 * @param path as it would be forwarded
 * @returns undefined for every other request
 */
export function emulatedIn(
  appliance: Appliance,
  request: IncomingMessage,
  path: string,
  guard: Guard,
): Emulated | undefined {
  const { method = 'GET' } = request
  if (method !== 'POST' && method !== 'DELETE') return undefined
  const { product, signIn } = appliance
  if ((signIn ?? (guard.knowsCallers || isLocal(request) ? 'emulate' : 'deny')) !== 'emulate') return undefined
  const canonical = canonicalPath(path)
  const kind = canonical === undefined ? undefined : credentialPath(product, canonical)?.kind
  if (canonical === undefined || kind === undefined || kind === 'other') return undefined
  const status = product.emulation.signOutStatus(method, canonical)
  if (status !== undefined) return { act: 'sign-out', status }
  if (kind === 'authorization-code') return { act: 'withhold' }
  return kind === 'token' && method === 'POST' ? { act: 'sign-in' } : undefined
}

/** A sign-in at the proxy: it brings its own proof, and nobody has to be known for it. */
export function bringsItsProof(
  request: IncomingMessage,
  appliances: ReadonlyMap<string, Appliance>,
  guard: Guard,
): boolean {
  const target = targetOf(request)
  const appliance = target && appliances.get(target.name)
  return appliance !== undefined && emulatedIn(appliance, request, target?.path ?? '', guard)?.act === 'sign-in'
}

/** Came in by the loopback or by a Unix socket, which has no address. */
function isLocal({ socket: { localAddress } }: IncomingMessage): boolean {
  return localAddress === undefined || /^(?:::ffff:)?127\.|^::1$/.test(localAddress)
}

/** A request that the proxy answers in the appliance's place. */
export interface Emulating {
  appliance: Appliance
  request: IncomingMessage
  /** As it would be forwarded. */
  path: string
  account: Account
  guard: Guard
}

/** Answers in the appliance's place. The appliance hears of it only where there is no session to answer with. */
export async function emulate(emulated: Emulated, parts: Emulating): Promise<EmulatedAnswer> {
  const { account, appliance } = parts
  account.emulated = emulated.act === 'sign-out' ? 'sign-out' : 'sign-in'
  try {
    if (emulated.act === 'withhold') throw new Failure('CREDENTIALS_WITHHELD', NO_CODES)
    if (emulated.act === 'sign-in') return await signedIn(parts)
    checkAppliance(parts)
    return { status: emulated.status, fields: { 'cache-control': 'no-store' }, body: undefined }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    account.failure = error.code
    return refusal(error, appliance, parts.path)
  }
}

const NO_CODES =
  'veeam-auth-proxy hands out no authorization codes: they become tokens that work without it. ' +
  'allow: [credentials] together with signIn: forward passes this on.'

async function signedIn({ appliance, request, account, guard }: Emulating): Promise<EmulatedAnswer> {
  const { session, product } = appliance
  const shown = await shownIn(request, account)
  const { caller, placeholders } = await guard.signIn(request, shown)
  account.caller = caller
  checkAppliance({ appliance, account })
  // Some tools try a refused renewal again without end, and a placeholder is good whether or not there is a session.
  if (shown.type === 'password') await session.ready()
  const answer = signInAnswer(session.answer ?? product.emulation.answer, placeholders)
  return {
    status: 200,
    fields: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
    body: Buffer.from(JSON.stringify(answer)),
  }
}

function checkAppliance({ appliance: { name }, account: { caller } }: Pick<Emulating, 'appliance' | 'account'>): void {
  if (caller?.appliances?.has(name) !== false) return
  throw new Failure('APPLIANCE_DENIED', `veeam-auth-proxy: ${caller.name} may not use ${name}.`)
}

/** What is wrong with the caller's request, each with its word of RFC 6749, section 5.2. */
const callersFault: ReadonlyMap<Failure['code'], string> = new Map([
  ['BAD_REQUEST', 'invalid_request'],
  ['BODY_TOO_LARGE', 'invalid_request'],
  ['GRANT_WITHHELD', 'unsupported_grant_type'],
  ['CREDENTIALS_WITHHELD', 'access_denied'],
  ['CALLER_UNKNOWN', 'invalid_grant'],
  ['TOO_MANY_FAILURES', 'invalid_grant'],
  ['APPLIANCE_DENIED', 'access_denied'],
])

/** A failure in the product's form, with a status that tools show the message of: most show none for a 502 or 503. */
function refusal(failure: Failure, { name, product }: Appliance, path: string): EmulatedAnswer {
  const { emulation } = product
  const fault = callersFault.get(failure.code)
  const status = fault === undefined ? 500 : failure.status
  const error = fault ?? 'server_error'
  const message = fault === undefined ? absence(failure, name) : failure.message
  const body = Buffer.from(JSON.stringify(emulation.error({ status, error, message }, canonicalPath(path) ?? '')))
  const { 'www-authenticate': _, ...fields } = problemFields(failure)
  const closes = failure.code === 'BODY_TOO_LARGE' ? { connection: 'close' } : {}
  return { status, fields: { ...fields, ...closes, 'content-type': emulation.errorType }, body }
}

/** Why there is no session and what to do about it, on one line: it is all that a tool shows. */
function absence(failure: Failure, name: string): string {
  const reason = failure.cause instanceof Failure ? failure.cause : failure
  const { title, remedy } = problemOf(reason, name)
  const detail = failure.message.replace('sign-in NAME', `sign-in ${name}`)
  return `veeam-auth-proxy has no session at ${name}. ${title}: ${detail} ${remedy}.`
}
