import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import { type Listen, ListenError } from './address.ts'
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
    const said = error instanceof Error ? error.message : String(error)
    throw new ListenError(address, 'EBADCERT', `cannot be listened on with this certificate and key: ${said}`)
  }
}
