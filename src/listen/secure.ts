import type { SecureContextOptions } from 'node:tls'
import type { CertificatePair } from './address.ts'

/** What is the same for every certificate of a listener. */
export function secureOptions(pair: Partial<CertificatePair>): SecureContextOptions {
  return { ...pair, minVersion: 'TLSv1.2' }
}
