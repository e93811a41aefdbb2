import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { listenOf } from '../config/address.ts'
import { readDocument } from '../config/document.ts'
import { readSettings } from '../config/env.ts'
import { DEFAULT_LISTEN } from '../config/listen.ts'
import { ConfigurationError } from '../config/mistake.ts'
import { Obstacle } from '../config/obstacle.ts'
import type { Trust } from '../upstream/trust.ts'
import { type Call, textOf, UsageError } from './command.ts'

const Listening = Type.Object({
  listen: Type.Union([Type.String(), Type.Object({ address: Type.String(), tls: Type.Unknown() })]),
})

const Pair = Type.Object({ cert: Type.String() })

export interface ProxyAddress {
  url: string
  /** How its certificate is checked; undefined: as Node.js does. */
  trust: Trust | undefined
}

/**
 * Where the running proxy is: --url, or HOST and PORT, or what the configuration says. Of the file only `listen` is
 * read: whoever asks need not be able to read its secrets.
 */
export async function proxyAt(call: Call): Promise<ProxyAddress> {
  const { options, io } = call
  const url = textOf(options.url)
  if (url !== undefined) return { url: url.replace(/\/+$/, ''), trust: undefined }
  const settings = await readSettings(io.env)
  const file = textOf(options.config)
  const named = file ?? settings.config
  const { address, tls } = await listenIn(named, io.cwd, { named: file !== undefined })
  const directory = dirname(resolve(io.cwd, named))
  const isMoved = settings.host !== undefined || settings.port !== undefined
  if (address.startsWith('unix:') && !isMoved) {
    return { url: `unix:${resolve(directory, address.slice('unix:'.length))}`, trust: undefined }
  }
  const listen = listenOf(address.startsWith('unix:') ? DEFAULT_LISTEN : address)
  const host = reachable(settings.host ?? listen.host)
  const authority = `${host.includes(':') ? `[${host}]` : host}:${settings.port ?? listen.port}`
  if (tls === undefined) return { url: `http://${authority}`, trust: undefined }
  return { url: `https://${authority}`, trust: await trustIn(tls, directory, call) }
}

/** The proxy shows a certificate of its own: that very one is trusted, or what the local authority has signed. */
async function trustIn(tls: unknown, directory: string, call: Call): Promise<Trust | undefined> {
  if (tls === 'auto') {
    const [{ authorityDirectoryFor }, { publishedAuthority }] = await Promise.all([
      import('./authority-directory-for.ts'),
      import('../listen/local-authority.ts'),
    ])
    const authority = await publishedAuthority(await authorityDirectoryFor(call))
    return authority && { ca: authority.cert, verify: true }
  }
  if (!Check(Pair, tls)) return undefined
  try {
    const { fingerprint256 } = new X509Certificate(await readFile(resolve(directory, tls.cert)))
    return { fingerprint: fingerprint256, verify: true }
  } catch {
    // Whatever is wrong with it is for the proxy to tell.
    return undefined
  }
}

/** A file that nobody named may be missing or broken: then the default counts. */
async function listenIn(
  file: string,
  directory: string,
  { named }: { named: boolean },
): Promise<{ address: string; tls?: unknown }> {
  const standard = { address: DEFAULT_LISTEN }
  try {
    const { value } = await readDocument(file, resolve(directory, file))
    const listen = Check(Listening, value) ? value.listen : DEFAULT_LISTEN
    const found = typeof listen === 'string' ? { address: listen } : listen
    if (!found.address.startsWith('unix:')) listenOf(found.address)
    return found
  } catch (error) {
    const isMistake = error instanceof ConfigurationError || error instanceof Obstacle
    if (!isMistake) throw error
    if (!named) return standard
    throw new UsageError(error instanceof Obstacle ? `${file}: ${error.message}. ${error.remedy}.` : error.message)
  }
}

/** What listens on every address is reached at the loopback one. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
