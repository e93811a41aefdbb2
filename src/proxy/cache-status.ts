import type { Failure } from '../errors.ts'

/** Why a request went on to the appliance (RFC 9211, section 2.2). */
export type Forwarding = 'bypass' | 'method' | 'request' | 'uri-miss' | 'vary-miss' | 'stale'

const NAME = 'veeam-auth-proxy'

/** @param ttl in seconds */
export function hitStatus(ttl: number): string {
  return `${NAME}; hit; ttl=${ttl}`
}

export function forwardedStatus(why: Forwarding): string {
  return `${NAME}; fwd=${why}`
}

/** The answer is kept. */
export function storedStatus(why: Forwarding): string {
  return `${NAME}; fwd=${why}; stored`
}

/** The answer is that of another request that was under way. */
export function collapsedStatus(why: Forwarding): string {
  return `${NAME}; fwd=${why}; collapsed`
}

/** An answer that is no longer fresh stands in for what the appliance, or the proxy in its place, would have said. */
export function staleStatus(reason: number | Failure, ttl: number): string {
  const said =
    typeof reason === 'number' ? `fwd-status=${reason}` : `fwd-status=${reason.status}; detail=${reason.code}`
  return `${NAME}; fwd=stale; ${said}; ttl=${ttl}`
}
