import { X509Certificate } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import { type DetailedPeerCertificate, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { buildConnector } from 'undici'
import { Failure } from '../errors.ts'

/** How an appliance proves that it is the one. Node.js verifies unless one of the two below says otherwise. */
export interface Trust {
  /** PEM certificates that take the place of the system's roots. */
  ca?: string
  /** SHA-256 of the leaf certificate, `AB:CD:…`: that very certificate and no other, whatever its name, until it ends. */
  fingerprint?: string
  /** False: anything is accepted. */
  verify: boolean
}

export interface Certificate {
  subject: string
  issuer: string
  validFrom: string
  validTo: string
  altNames: string
  /** SHA-256, `AB:CD:…`. */
  fingerprint: string
}

/** The certificate of a connection that was trusted. */
export interface TrustedCertificate {
  /** SHA-256, `AB:CD:…`. */
  fingerprint: string
  /** Epoch milliseconds of its end. */
  validTo: number
}

export interface ConnectorOptions {
  /** For TCP and TLS together, in milliseconds. */
  timeout: number
  /** False: every connection shows its certificate anew, and has it verified. */
  resumes?: boolean
  /** Told of the certificate of every connection that is trusted, but for a resumed one, which shows none. */
  onCertificate?: ((certificate: TrustedCertificate) => void) | undefined
}

/** What opens connections to one appliance under its rules of trust. */
export function connector(trust: Trust, { timeout, resumes = true, onCertificate }: ConnectorOptions) {
  const open = buildConnector({ timeout, minVersion: 'TLSv1.2', ...rulesOf(trust, resumes) })
  const checked: buildConnector.connector = (options, callback) => {
    open(options, (error, socket) => {
      if (error !== null) return callback(error, null)
      const shown = certificateOf(socket)
      const refusal = pinRefusal(trust.fingerprint, shown)
      if (refusal === undefined) {
        if (shown !== undefined) onCertificate?.(shown)
        return callback(null, socket)
      }
      socket.destroy()
      callback(refusal, null)
    })
  }
  return checked
}

/** Why a pin lets a certificate not pass: it is another one, or its time is over. */
function pinRefusal(pinned: string | undefined, shown: TrustedCertificate | undefined): Failure | undefined {
  if (pinned === undefined) return undefined
  const isPinned = shown?.fingerprint === pinned
  if (isPinned && !hasEnded(shown)) return undefined
  const what = shown?.fingerprint ?? 'of no TLS at all'
  const said = `The appliance shows the certificate ${what}, and the configuration pins ${pinned}.`
  const detail = isPinned ? `${said} It expired on ${new Date(shown.validTo).toUTCString()}.` : said
  return new Failure('CERTIFICATE_UNTRUSTED', detail, { extensions: { shown: shown?.fingerprint, pinned } })
}

/** Whether the time of a certificate is over, which no pin makes good. */
export function hasEnded({ validTo }: { validTo: number | string }): boolean {
  return new Date(validTo).getTime() <= Date.now()
}

/**
 * A pin replaces the chain and the name: the certificate is compared before the first byte is written. Sessions are not
 * resumed then, so that every connection shows its certificate.
 */
function rulesOf({ ca, fingerprint, verify }: Trust, resumes: boolean): buildConnector.BuildOptions {
  if (fingerprint !== undefined) return { rejectUnauthorized: false, maxCachedSessions: 0 }
  const sessions = resumes ? {} : { maxCachedSessions: 0 }
  if (!verify) return { rejectUnauthorized: false, ...sessions }
  return { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }), ...sessions }
}

/** `getPeerX509Certificate` would take it out of the chain, and show the next one at its next call. */
function certificateOf(socket: Socket | TLSSocket): TrustedCertificate | undefined {
  const shown = 'getPeerCertificate' in socket ? socket.getPeerCertificate() : undefined
  // Without one it is an empty object, or null once the connection has gone.
  if (!shown || !('fingerprint256' in shown)) return undefined
  return { fingerprint: shown.fingerprint256, validTo: Date.parse(shown.valid_to) }
}

/** Why Node.js refused a certificate, in words; undefined for errors that are not about one. */
export function certificateFault(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return faults[code] ?? (/^(CERT_|UNABLE_TO_|ERR_TLS_CERT)/.test(code) ? `it was refused (${code})` : undefined)
}

const faults: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its chain ends in an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'it was signed by an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'it was signed by an authority that is not trusted here',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it was made for another name',
}

/** The certificate that an address shows, whether trusted or not. Nothing is sent there. */
export async function inspectCertificate(origin: string, timeout: number): Promise<Certificate> {
  return look(origin, timeout, socket => {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) throw new Error('no certificate was shown')
    return described(certificate)
  })
}

/** What an address shows, and what Node.js thinks of it. */
export interface ShownChain {
  /** The certificate of the address first; each was issued by the one that follows. */
  certificates: readonly Certificate[]
  /** Why it is not trusted; undefined when it is. */
  fault: string | undefined
  /** Whether the first one has expired, and cannot be pinned. */
  ended: boolean
}

/** All certificates that an address shows, completed by the root where it is known here. Nothing is sent there. */
export async function inspectChain(origin: string, timeout: number): Promise<ShownChain> {
  return look(origin, timeout, socket => {
    const certificates = new Map<string, Certificate>()
    let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
    // A root is its own issuer, and what issued an incomplete chain is not there.
    while (next?.raw !== undefined && !certificates.has(next.fingerprint256)) {
      certificates.set(next.fingerprint256, described(new X509Certificate(next.raw)))
      next = next.issuerCertificate
    }
    const [leaf] = certificates.values()
    if (leaf === undefined) throw new Error('no certificate was shown')
    const code = socket.authorized ? undefined : String(socket.authorizationError)
    const fault = code === undefined ? undefined : (faults[code] ?? `it was refused (${code})`)
    return { certificates: [...certificates.values()], fault, ended: hasEnded(leaf) }
  })
}

/** Opens a connection for as long as it takes to look at it. */
function look<T>(origin: string, timeout: number, see: (socket: TLSSocket) => T): Promise<T> {
  const { hostname, port } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  const names = isIP(host) ? {} : { servername: host }
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host, port: Number(port || 443), rejectUnauthorized: false, timeout, ...names })
    socket.once('secureConnect', () => {
      try {
        resolve(see(socket))
      } catch (error) {
        reject(error)
      } finally {
        socket.destroy()
      }
    })
    socket.once('timeout', () => socket.destroy(new Error('no TLS answer in time')))
    socket.once('error', reject)
  })
}

function described(certificate: X509Certificate): Certificate {
  return {
    subject: certificate.subject,
    issuer: certificate.issuer,
    validFrom: certificate.validFrom,
    validTo: certificate.validTo,
    altNames: certificate.subjectAltName ?? '',
    fingerprint: certificate.fingerprint256,
  }
}
