import type { ApplianceConfiguration, Configuration } from '../config/configuration.ts'
import { type Failure, failures } from '../errors.ts'
import { hasEnded, inspectCertificate } from '../upstream/trust.ts'
import type { Trial } from './check-appliance.ts'

/** Milliseconds for looking at a certificate. */
const INSPECTION = 10_000

/** What is wrong with an appliance and what to do about it, undefined when there is nothing to say. */
export async function advise(
  { configuration, failure, kept }: Trial,
  { mount, source }: Configuration,
): Promise<string | undefined> {
  const { name } = configuration
  if (failure === undefined) {
    return kept
      ? `${name}: reached. An authorization code is good for one sign-in, so it was kept for the proxy.`
      : undefined
  }
  const place = mount === 'root' ? 'in the environment' : `under ${name} in ${source}`
  return `${name}: ${await sentenceFor(configuration, failure, { place, isFile: mount !== 'root' })}`
}

interface Where {
  place: string
  isFile: boolean
}

async function sentenceFor(appliance: ApplianceConfiguration, failure: Failure, where: Where): Promise<string> {
  const { name, url, product } = appliance
  const said = failure.message
  switch (failure.code) {
    case 'SIGN_IN_REFUSED':
      return `wrong user name or password. ${said} It was tried once; correct the credentials ${where.place}.`
    case 'SIGN_IN_UNKNOWN':
      return (
        `wrong port or product: what listens at ${url} has no token path of ${product.title}. ${said} ` +
        `Its REST API is at port ${product.defaultPort} by default; correct url or product ${where.place}.`
      )
    case 'CODE_WANTED':
      return (
        `MFA code needed, and the password is right. Start the proxy and run: veeam-auth-proxy code ${name}; ` +
        `or put the secret of the authenticator ${where.isFile ? 'into credentials.totp' : 'into a file named by VEEAM_TOTP_FILE'}.`
      )
    case 'CERTIFICATE_UNTRUSTED':
      return certificateSentence(appliance, said, where)
    default: {
      const { title, remedy } = failures[failure.code]
      return `${title} (${url}). ${said} ${remedy.replace('NAME', name)}.`
    }
  }
}

/** The certificate is looked at anew, so that what is printed to paste is whole and exact. */
async function certificateSentence({ url, tls }: ApplianceConfiguration, said: string, where: Where): Promise<string> {
  const shown = await inspectCertificate(url, INSPECTION).catch(() => undefined)
  if (shown === undefined) return said
  const setting = where.isFile
    ? `tls: { fingerprint: "${shown.fingerprint}" }`
    : `VEEAM_TLS_FINGERPRINT=${shown.fingerprint}`
  const certificate = `${oneLine(shown.subject)}, valid until ${shown.validTo}`
  const pinned = tls.fingerprint === undefined ? said.replace(/ Its SHA-256 fingerprint is .*$/, '') : said
  if (hasEnded(shown)) {
    return `${pinned} The certificate (${certificate}) has expired, and cannot be pinned. Let the appliance have a new one.`
  }
  return (
    `${pinned} If the appliance itself shows this SHA-256 fingerprint for its certificate (${certificate}), ` +
    `put this line ${where.place}:\n    ${setting}`
  )
}

function oneLine(subject: string): string {
  return subject.replaceAll(/\s*\n\s*/g, ', ')
}
