import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { constants } from 'node:fs'
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../state/state-error.ts'
import type { CertificatePair } from './address.ts'
import { makeAuthority } from './x509.ts'

/** Key and certificate, so that one step makes both and no process ever sees one without the other. */
const PAIR = 'local-ca.key'
/** The certificate alone, for everybody. */
const CERTIFICATE = 'local-ca.pem'

const TEN_YEARS = 3_652 * 86_400_000
/** A link could point anywhere. Windows does not have the flag. */
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)

export interface LocalAuthority extends CertificatePair {
  /** Absolute path of its certificate. */
  file: string
}

/** The local authority cannot be made or used; the message says what to do about it. */
export class LocalAuthorityError extends Error {
  override readonly name = 'LocalAuthorityError'
}

/**
 * The authority of a directory, made there once: of several processes that want to make it at the same time, all get
 * the one that came first.
 * @throws LocalAuthorityError
 */
export async function openAuthority(directory: string): Promise<LocalAuthority> {
  const file = join(directory, CERTIFICATE)
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const pair = (await readPair(directory)) ?? (await makePair(directory))
    const published = await readFile(file, 'utf8').catch(() => undefined)
    if (published !== pair.cert) await put(file, pair.cert, { mode: 0o644, place: rename })
    return { ...pair, file }
  } catch (error) {
    if (error instanceof LocalAuthorityError) throw error
    const message = `the local CA cannot be kept in ${directory} (${errnoOf(error)}). Set stateDirectory, or STATE_DIRECTORY, to a directory that this account may write to.`
    throw new LocalAuthorityError(message, { cause: error })
  }
}

/** The certificate of the authority, where one has been made; its key need not be readable. */
export async function publishedAuthority(directory: string): Promise<{ cert: string; file: string } | undefined> {
  const file = join(directory, CERTIFICATE)
  const cert = await readFile(file, 'utf8').catch(() => undefined)
  return cert === undefined ? undefined : { cert, file }
}

async function readPair(directory: string): Promise<CertificatePair | undefined> {
  const file = join(directory, PAIR)
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(file, READ)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw new LocalAuthorityError(`${file} cannot be read (${errnoOf(error)}). Make it a file of this account.`)
  }
  try {
    const { mode } = await handle.stat()
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      const message = `${file} can be read by others, and whoever has it can stand in for this proxy. Run: chmod 600 ${file}`
      throw new LocalAuthorityError(message)
    }
    return checked(await handle.readFile('utf8'), file)
  } finally {
    await handle.close()
  }
}

function checked(text: string, file: string): CertificatePair {
  const anew = 'Remove it, start again, and let the tools trust the new one: veeam-auth-proxy trust-local'
  const cert = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(text)?.[0] ?? ''
  const key = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/.exec(text)?.[0] ?? ''
  const certificate = parsed(cert)
  if (certificate === undefined || !fits(certificate, key)) {
    throw new LocalAuthorityError(`${file} is damaged. ${anew}`)
  }
  if (Date.parse(certificate.validTo) > Date.now()) return { cert, key }
  throw new LocalAuthorityError(`the local CA in ${file} was valid until ${certificate.validTo}. ${anew}`)
}

function parsed(cert: string): X509Certificate | undefined {
  try {
    return new X509Certificate(cert)
  } catch {
    return undefined
  }
}

function fits(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.ca && certificate.checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

async function makePair(directory: string): Promise<CertificatePair> {
  const now = Date.now()
  const { cert, key } = await makeAuthority({ from: now, to: now + TEN_YEARS })
  try {
    await put(join(directory, PAIR), key + cert, { mode: 0o600, place: link })
    return { cert, key }
  } catch (error) {
    const first = errnoOf(error) === 'EEXIST' ? await readPair(directory) : undefined
    if (first === undefined) throw error
    return first
  }
}

/**
 * A file that is whole from the moment on that it has its name.
 * @param place `link` refuses where there is one already, `rename` replaces it
 */
async function put(file: string, text: string, { mode, place }: { mode: number; place: typeof link }): Promise<void> {
  const unfinished = `${file}.${randomBytes(6).toString('hex')}`
  try {
    const handle = await open(unfinished, 'wx', mode)
    try {
      await handle.writeFile(text)
      // Whatever the mask of the process is.
      await handle.chmod(mode)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await place(unfinished, file)
  } finally {
    await rm(unfinished, { force: true })
  }
}
