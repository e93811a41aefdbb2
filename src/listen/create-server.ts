import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import { createSecureContext } from 'node:tls'
import { type Listen, type ListenAddress, ListenError } from './address.ts'
import { type Limits, serverOptions } from './limits.ts'
import { secureOptions } from './secure.ts'

/**
 * The server of Node.js behind a listener, which does not listen yet.
 * @param askForCertificate asks callers for a certificate, and takes any
 * @throws ListenError when certificate and key cannot be used
 */
export function createServerFor(
  { address, tls }: Listen,
  limits: Limits,
  { askForCertificate = false }: { askForCertificate?: boolean },
): Server | SecureServer {
  const options = serverOptions(limits)
  if (tls === undefined) return createServer(options)
  try {
    return createSecureServer({
      ...options,
      ...secureOptions(tls === 'auto' ? {} : tls),
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: limits.headTimeout,
      requestCert: askForCertificate,
      rejectUnauthorized: false,
    })
  } catch (error) {
    throw badCertificate(address, error)
  }
}

/** @throws ListenError when certificate and key cannot be used */
export function checkCertificate({ address, tls }: Listen): void {
  if (typeof tls !== 'object') return
  try {
    createSecureContext(secureOptions(tls))
  } catch (error) {
    throw badCertificate(address, error)
  }
}

function badCertificate(address: ListenAddress, error: unknown): ListenError {
  const said = error instanceof Error ? error.message : String(error)
  return new ListenError(address, 'EBADCERT', `cannot be listened on with this certificate and key: ${said}`)
}
