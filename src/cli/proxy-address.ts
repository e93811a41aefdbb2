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

const Listening = Type.Object({ listen: Type.String() })

/**
 * Where the running proxy is: --url, or HOST and PORT, or what the configuration says. Of the file only `listen` is
 * read: whoever asks need not be able to read its secrets.
 */
export async function proxyUrl({ options, io }: Call): Promise<string> {
  const url = textOf(options.url)
  if (url !== undefined) return url.replace(/\/+$/, '')
  const settings = readSettings(io.env)
  const file = textOf(options.config)
  const listen = await listenIn(file ?? settings.config, io.cwd, { named: file !== undefined })
  const host = reachable(settings.host ?? listen.host)
  return `http://${host.includes(':') ? `[${host}]` : host}:${settings.port ?? listen.port}`
}

/** A file that nobody named may be missing or broken: then the default counts. */
async function listenIn(file: string, directory: string, { named }: { named: boolean }) {
  try {
    const { value } = await readDocument(file, resolve(directory, file))
    return listenOf(Check(Listening, value) ? value.listen : DEFAULT_LISTEN)
  } catch (error) {
    const isMistake = error instanceof ConfigurationError || error instanceof Obstacle
    if (!isMistake) throw error
    if (!named) return listenOf(DEFAULT_LISTEN)
    throw new UsageError(error instanceof Obstacle ? `${file}: ${error.message}. ${error.remedy}.` : error.message)
  }
}

/** What listens on every address is reached at the loopback one. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
