import { generateKeyPair, randomBytes, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import forge from 'node-forge'

export interface CertificateOptions {
  commonName?: string
  /** DNS names and IP addresses. */
  altNames?: string[]
  /** Days from `notBefore` to the end. */
  days?: number
  notBefore?: Date
}

export interface Certificate {
  /** PEM. */
  cert: string
  /** PEM. */
  key: string
  /** SHA-256 of the certificate's DER form, `AB:CD:…`. */
  fingerprint: string
}

const generateKeys = promisify(generateKeyPair)
const hour = 3_600_000
const day = 24 * hour

/**
 * A self-signed certificate as an appliance makes one at its installation. It may stand in a list of trusted
 * authorities, so it is marked as one: OpenSSL wants keyCertSign of whatever signed a certificate, itself included.
 */
export async function createCertificate({
  commonName = 'localhost',
  altNames = ['localhost', '127.0.0.1', '::1'],
  days = 365,
  notBefore = new Date(Date.now() - hour),
}: CertificateOptions = {}): Promise<Certificate> {
  const keys = await generateKeys('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(keys.publicKey)
  // DER integers are signed: a first digit below 8 keeps the serial number positive.
  certificate.serialNumber = `4${randomBytes(16).toString('hex').slice(1)}`
  certificate.validity.notBefore = notBefore
  certificate.validity.notAfter = new Date(notBefore.getTime() + days * day)
  const name = [{ name: 'commonName', value: commonName }]
  certificate.setSubject(name)
  certificate.setIssuer(name)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, keyCertSign: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames: altNames.map(toAltName) },
    { name: 'subjectKeyIdentifier' },
  ])
  certificate.sign(forge.pki.privateKeyFromPem(keys.privateKey), forge.md.sha256.create())
  const cert = forge.pki.certificateToPem(certificate)
  return { cert, key: keys.privateKey, fingerprint: fingerprintOf(cert) }
}

export function fingerprintOf(cert: string): string {
  return new X509Certificate(cert).fingerprint256
}

/** Types of RFC 5280, section 4.2.1.6: 2 is a DNS name, 7 an IP address. */
function toAltName(name: string): object {
  return isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name }
}
