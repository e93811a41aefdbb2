import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { codeOf, Obstacle } from './obstacle.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * The certificates of a PEM file, without whatever else is in it.
 * @throws Obstacle
 */
export async function certificatesOf(name: string, directory: string): Promise<string> {
  const file = resolve(directory, name)
  const text = await textOf(file)
  const certificates = text.match(CERTIFICATE) ?? []
  if (certificates.length === 0) {
    throw new Obstacle(`${file} holds no certificate`, 'Name a PEM file: -----BEGIN CERTIFICATE----- must be in it')
  }
  for (const [index, certificate] of certificates.entries()) {
    if (isCertificate(certificate)) continue
    throw new Obstacle(`certificate ${index + 1} in ${file} is damaged`, 'Export it anew, as PEM (base64)')
  }
  return `${certificates.join('\n')}\n`
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1')
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT')
      throw new Obstacle(`${file} does not exist`, 'Correct the path, or copy the certificate there')
    throw new Obstacle(`${file} cannot be read (${code})`, 'Name a PEM file that the account of the proxy may read')
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).fingerprint256 !== ''
  } catch {
    return false
  }
}

/**
 * A SHA-256 fingerprint as `AB:CD:…`.
 * @throws Obstacle
 */
export function fingerprintOf(text: string): string {
  const digits = text.replaceAll(':', '').toUpperCase()
  if (/^[0-9A-F]{64}$/.test(digits)) return digits.replace(/..(?=.)/g, '$&:')
  const remedy = 'Give the SHA-256 fingerprint, which openssl x509 -noout -fingerprint -sha256 -in FILE prints'
  if (/^([0-9A-F]{40}|[0-9A-F]{32})$/.test(digits)) {
    throw new Obstacle(
      `this is a fingerprint of ${digits.length === 40 ? 'SHA-1' : 'MD5'}, which proves nothing`,
      remedy,
    )
  }
  throw new Obstacle('this is not a fingerprint of 64 hexadecimal digits', remedy)
}
