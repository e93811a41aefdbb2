import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import { Agent, request } from 'undici'
import { connector } from '../upstream/trust.ts'
import { CommandError, UsageError } from './command.ts'
import type { ProxyAddress } from './proxy-address.ts'

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
  grantedAt: Type.Union([Type.String(), Type.Null()]),
  expiresAt: Type.Union([Type.String(), Type.Null()]),
  renewsAt: Type.Union([Type.String(), Type.Null()]),
  lastError: Type.Union([
    Type.Null(),
    Type.Object({ code: Type.String(), detail: Type.String(), remedy: Type.String(), times: Type.Number() }),
  ]),
})
export type ApplianceStatus = Static<typeof ApplianceStatus>

const ProblemAnswer = Type.Object({
  code: Type.String(),
  title: Type.String(),
  detail: Type.String(),
  remedy: Type.String(),
  source: Type.Literal('proxy'),
})

export interface ProxyRequest extends ProxyAddress {
  method: 'GET' | 'POST'
  path: string
  body?: unknown
  /** The one that it is about. */
  appliance?: string
  /** The secret of a caller, where the proxy wants one. */
  key?: string | undefined
  /** Milliseconds. */
  timeout: number
}

/**
 * Asks the running proxy.
 * @returns the parsed body of a 2xx
 * @throws CommandError when there is no proxy, or when it answers with a problem; UsageError where that is about a
 * configuration with a mistake
 */
export async function askProxy(asked: ProxyRequest): Promise<unknown> {
  const { status, content } = await exchange(asked)
  if (status >= 200 && status < 300 && content !== undefined) return content
  throw refusal(asked.url, content, asked.appliance)
}

/** What the answer of a proxy says that is not the one asked for. */
export function refusal(url: string, content: unknown, appliance = 'NAME'): CommandError | UsageError {
  if (!Check(ProblemAnswer, content)) {
    return new CommandError(`What answers at ${url} is not veeam-auth-proxy. Say with --url where the proxy is.`)
  }
  // As a command to be pasted.
  const remedy = content.remedy.replace(/(?<=veeam-auth-proxy [a-z-]+ )NAME\b/, () => appliance)
  const text = `${content.title}. ${content.detail}\n${remedy}.`
  return content.code === 'CONFIGURATION_REFUSED' ? new UsageError(text) : new CommandError(text)
}

export interface ProxyAnswer {
  status: number
  /** The parsed body; undefined when it is no JSON. */
  content: unknown
}

/** @throws UsageError for an address that is none, NoProxyError */
export async function exchange({ url, trust, method, path, body, key, timeout }: ProxyRequest): Promise<ProxyAnswer> {
  if (!URL.canParse(url)) throw new UsageError(`${url} is not a URL. Write --url http://HOST:PORT or unix:/path.`)
  const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined
  const tls = trust === undefined ? {} : { connect: connector(trust, { timeout }) }
  const dispatcher = new Agent(socketPath === undefined ? tls : { connect: { socketPath } })
  try {
    const { statusCode, body: answer } = await request(
      `${socketPath === undefined ? url : 'http://localhost'}${path}`,
      {
        method,
        dispatcher,
        signal: AbortSignal.timeout(timeout),
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(key === undefined ? {} : { 'x-proxy-key': key }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
    )
    return { status: statusCode, content: parsed(await answer.text()) }
  } catch (error) {
    throw unreachable(url, timeout, error)
  } finally {
    await dispatcher.close()
  }
}

/** One appliance's state, as the answers to sign-in and code bring it. */
export function stateIn(answer: unknown): string {
  return Check(ApplianceStatus, answer) ? answer.state : 'unknown'
}

/** Nothing answered, or not in time. */
export class NoProxyError extends CommandError {}

function unreachable(url: string, timeout: number, cause: unknown): NoProxyError {
  if (cause instanceof Error && cause.name === 'TimeoutError') {
    return new NoProxyError(`The proxy at ${url} did not answer within ${timeout / 1000} s.`, { cause })
  }
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  const remedy = 'Start it with: veeam-auth-proxy serve; or say with --url where it is.'
  return new NoProxyError(`No proxy answers at ${url}${code}. ${remedy}`, { cause })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
