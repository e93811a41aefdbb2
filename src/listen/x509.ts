import { generateKeyPair, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import forge from 'node-forge'
import type { CertificatePair } from './address.ts'

const generateKeys = promisify(generateKeyPair)
const HOUR = 3_600_000
/** Extensions of RFC 5280, section 4.2. */
const NAME_CONSTRAINTS = '2.5.29.30'
/** Kinds of names there, section 4.2.1.6. */
const DNS_NAME = 2
const IP_ADDRESS = 7

export interface KeyPair {
  /** PEM, as PKCS #8 and SPKI. */
  privateKey: string
  publicKey: string
}

export interface Validity {
  /** Epoch milliseconds; what is finer than a second is lost. */
  from: number
  to: number
}

/** RSA, as node-forge signs with nothing else. The key is made outside of the event loop. */
export function makeKeyPair(): Promise<KeyPair> {
  return generateKeys('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
}

/**
 * An authority that can sign for this machine's loopback names and for nothing else: whoever got hold of its key could
 * not stand in for any site, even where it is trusted.
 */
export async function makeAuthority({ from, to }: Validity): Promise<CertificatePair> {
  const keys = await makeKeyPair()
  const name = `veeam-auth-proxy local CA ${randomBytes(4).toString('hex')}`
  const certificate = prepared({ from, to }, keys.publicKey)
  certificate.setSubject([{ name: 'commonName', value: name }])
  certificate.setIssuer([{ name: 'commonName', value: name }])
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { id: NAME_CONSTRAINTS, critical: true, value: loopbackOnly() },
    { name: 'subjectKeyIdentifier' },
  ])
  return signed(certificate, keys.privateKey, keys.privateKey)
}

/** @param names DNS names and IP addresses; the first is the subject's */
export function makeLeaf(
  authority: CertificatePair,
  { names, keys, validity }: { names: readonly string[]; keys: KeyPair; validity: Validity },
): CertificatePair {
  const issuer = forge.pki.certificateFromPem(authority.cert)
  const certificate = prepared(validity, keys.publicKey)
  certificate.setSubject([{ name: 'commonName', value: names[0] ?? '' }])
  certificate.setIssuer(issuer.subject.attributes)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames: names.map(altName) },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes() },
  ])
  return signed(certificate, authority.key, keys.privateKey)
}

function prepared({ from, to }: Validity, publicKey: string): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
  // DER integers are signed: a first digit below 8 keeps the serial number positive.
  certificate.serialNumber = `4${randomBytes(16).toString('hex').slice(1)}`
  // A clock that was set back a little must not make it one of the future.
  certificate.validity.notBefore = new Date(from - HOUR)
  certificate.validity.notAfter = new Date(to)
  return certificate
}

function signed(certificate: forge.pki.Certificate, signingKey: string, ownKey: string): CertificatePair {
  certificate.sign(forge.pki.privateKeyFromPem(signingKey), forge.md.sha256.create())
  return { cert: forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n'), key: ownKey }
}

function altName(name: string): object {
  return isIP(name) === 0 ? { type: DNS_NAME, value: name } : { type: IP_ADDRESS, ip: name }
}

/** NameConstraints of RFC 5280, section 4.2.1.10: localhost with all below it, 127.0.0.0/8 and ::1. */
function loopbackOnly(): forge.asn1.Asn1 {
  const { asn1 } = forge
  const { CONTEXT_SPECIFIC, UNIVERSAL } = asn1.Class
  const subtree = (kind: number, value: string) =>
    asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, [asn1.create(CONTEXT_SPECIFIC, kind, false, value)])
  const ipv4 = '\x7f\0\0\0\xff\0\0\0'
  const ipv6 = `${'\0'.repeat(15)}\x01${'\xff'.repeat(16)}`
  const permitted = [subtree(DNS_NAME, 'localhost'), subtree(IP_ADDRESS, ipv4), subtree(IP_ADDRESS, ipv6)]
  return asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, [asn1.create(CONTEXT_SPECIFIC, 0, true, permitted)])
}
