import { isDeepStrictEqual } from 'node:util'
import { type ListenAddress, printed } from '../listen/address.ts'
import type { Configuration } from './configuration.ts'

/**
 * What the next configuration changes that a running proxy cannot; undefined when there is nothing of the kind. Where it
 * listens can change, but what is listened on already cannot be opened a second time in another way.
 */
export function fixedPart(now: Configuration, next: Configuration): string | undefined {
  if (next.audit !== now.audit) return 'audit'
  if (next.state?.directory !== now.state?.directory) return 'stateDirectory'
  if ((next.tracing ?? false) !== (now.tracing ?? false)) return 'tracing'
  if (!isDeepStrictEqual(next.limits, now.limits)) return 'limits'
  if (isAnyPort(next.listen.address) || printed(next.listen.address) !== printed(now.listen.address)) return undefined
  if (kindOf(next) !== kindOf(now)) return `tls of ${printed(next.listen.address)}`
  if (next.listen.tls === undefined || asksForCertificate(next) === asksForCertificate(now)) return undefined
  return `whether ${printed(next.listen.address)} asks callers for a certificate`
}

/** Whether any caller proves itself by a certificate, which only TLS can show. */
export function asksForCertificate({ guard }: Configuration): boolean {
  return guard.callers.some(({ certificate }) => certificate !== undefined)
}

function kindOf({ listen: { tls } }: Configuration): string {
  return tls === 'auto' ? tls : typeof tls
}

function isAnyPort(address: ListenAddress): boolean {
  return 'port' in address && address.port === 0
}
