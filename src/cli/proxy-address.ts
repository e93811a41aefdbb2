import { resolve } from 'node:path'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { listenOf } from '../config/address.ts'
import { readDocument } from '../config/document.ts'
import { readSettings } from '../config/env.ts'
import { DEFAULT_LISTEN } from '../config/listen.ts'
import { ConfigurationError } from '../config/mistake.ts'
import { Obstacle } from '../config/obstacle.ts'
import { type Call, textOf, UsageError } from './command.ts'

const Listening = Type.Object({
  listen: Type.Union([Type.String(), Type.Object({ address: Type.String(), tls: Type.Unknown() })]),
})

/**
 * Where the running proxy is: --url, or HOST and PORT, or what the configuration says. Of the file only `listen` is
 * read: whoever asks need not be able to read its secrets.
 */
export async function proxyUrl({ options, io }: Call): Promise<string> {
  const url = textOf(options.url)
  if (url !== undefined) return url.replace(/\/+$/, '')
  const settings = readSettings(io.env)
  const file = textOf(options.config)
  const { address, tls } = await listenIn(file ?? settings.config, io.cwd, { named: file !== undefined })
  const isMoved = settings.host !== undefined || settings.port !== undefined
  if (address.startsWith('unix:') && !isMoved) return `unix:${resolve(io.cwd, address.slice('unix:'.length))}`
  const listen = listenOf(address.startsWith('unix:') ? DEFAULT_LISTEN : address)
  const host = reachable(settings.host ?? listen.host)
  const scheme = tls === undefined ? 'http' : 'https'
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${settings.port ?? listen.port}`
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
