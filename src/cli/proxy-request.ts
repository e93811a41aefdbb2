import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import { Agent, request } from 'undici'
import { CommandError } from './command.ts'

/** Milliseconds for what the proxy knows by itself. */
export const QUICK = 5_000
/** Milliseconds for what the proxy asks an appliance first; waiting for the next TOTP code may be part of it. */
export const SIGN_IN = 90_000

export const ApplianceStatus = Type.Object({
  name: Type.String(),
  product: Type.String(),
  trust: Type.String(),
  certificate: Type.Union([Type.Null(), Type.Object({ validTo: Type.String(), daysLeft: Type.Number() })]),
  state: Type.String(),
  servedAt: Type.Optional(Type.Array(Type.String())),
  grant: Type.Union([Type.String(), Type.Null()]),
  since: Type.Union([Type.String(), Type.Null()]),
  expiresAt: Type.Union([Type.String(), Type.Null()]),
  renewsAt: Type.Union([Type.String(), Type.Null()]),
  lastError: Type.Union([
    Type.Null(),
    Type.Object({ code: Type.String(), detail: Type.String(), remedy: Type.String(), times: Type.Number() }),
  ]),
})
export type ApplianceStatus = Static<typeof ApplianceStatus>

const ProblemAnswer = Type.Object({
  title: Type.String(),
  detail: Type.String(),
  remedy: Type.String(),
  source: Type.Literal('proxy'),
})

export interface ProxyRequest {
  url: string
  method: 'GET' | 'POST'
  path: string
  body?: unknown
  /** The secret of a caller, where the proxy wants one. */
  key?: string | undefined
  /** Milliseconds. */
  timeout: number
}

/**
 * Asks the running proxy.
 * @returns the parsed body of a 2xx
 * @throws CommandError when there is no proxy, or when it answers with a problem
 */
export async function askProxy({ url, method, path, body, key, timeout }: ProxyRequest): Promise<unknown> {
  if (!URL.canParse(url)) throw new CommandError(`${url} is not a URL. Write --url http://HOST:PORT or unix:/path.`)
  const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined
  const dispatcher = new Agent(socketPath === undefined ? {} : { connect: { socketPath } })
  const answer = await request(`${socketPath === undefined ? url : 'http://localhost'}${path}`, {
    method,
    dispatcher,
    signal: AbortSignal.timeout(timeout),
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'x-proxy-key': key }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch(error => {
    throw unreachable(url, timeout, error)
  })
  const content = parsed(await answer.body.text())
  await dispatcher.close()
  if (answer.statusCode >= 200 && answer.statusCode < 300 && content !== undefined) return content
  if (!Check(ProblemAnswer, content)) {
    throw new CommandError(`What answers at ${url} is not veeam-auth-proxy. Say with --url where the proxy is.`)
  }
  throw new CommandError(`${content.title}. ${content.detail}\n${content.remedy}.`)
}

/** One appliance's state, as the answers to sign-in and code bring it. */
export function stateIn(answer: unknown): string {
  return Check(ApplianceStatus, answer) ? answer.state : 'unknown'
}

function unreachable(url: string, timeout: number, cause: unknown): CommandError {
  if (cause instanceof Error && cause.name === 'TimeoutError') {
    return new CommandError(`The proxy at ${url} did not answer within ${timeout / 1000} s.`, { cause })
  }
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  const remedy = 'Start it with: veeam-auth-proxy serve; or say with --url where it is.'
  return new CommandError(`No proxy answers at ${url}${code}. ${remedy}`, { cause })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
