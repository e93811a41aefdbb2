import { resolve } from 'node:path'
import { inspect } from 'node:util'
import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import type { CertificatePair, Listen, ListenAddress } from '../listen/address.ts'
import { REDACTED } from '../redactor.ts'
import { listenOf } from './address.ts'
import { Obstacle } from './obstacle.ts'
import { readSecretFile } from './secret-file.ts'
import type { Environment } from './secret-source.ts'
import { certificatesOf } from './trust.ts'

const strict = { additionalProperties: false }

export const DEFAULT_LISTEN = '127.0.0.1:8080'

const Address = Type.String({
  pattern: '^((\\[[0-9A-Fa-f:.]+\\]|[^\\s:\\[\\]]+):[0-9]{1,5}|unix:.+)$',
  title: 'Address',
  description: 'HOST:PORT such as 127.0.0.1:8080 or [::1]:8080, or unix:/path of a socket',
})

const PairEntry = Type.Object(
  {
    cert: Type.String({
      minLength: 1,
      title: 'Certificate',
      description: 'PEM file with the certificate and its chain',
    }),
    key: Type.String({ minLength: 1, title: 'Key', description: 'PEM file with its private key, for its owner only' }),
  },
  strict,
)

export const ListenTls = Type.Union([Type.Literal('auto'), PairEntry], {
  title: 'TLS',
  description: 'auto: a certificate of a local authority made once; or { cert, key }: PEM files',
})

const Secured = Type.Object({ address: Address, tls: ListenTls }, strict)

/** Where the proxy listens, as it stands in the configuration. */
export const ListenEntry = Type.Union([Address, Secured], {
  default: DEFAULT_LISTEN,
  title: 'Listen',
  description:
    'Where the proxy listens: HOST:PORT such as 127.0.0.1:8080, unix:/path, or { address, tls: auto } or { address, tls: { cert, key } }',
})
export type ListenEntry = Static<typeof ListenEntry>

export interface ListenConfiguration extends Listen {
  /** Absolute paths of the files that it comes from. */
  files: readonly string[]
  /** Where it stands in the configuration, as mistakes are told; absent when it stands nowhere. */
  at?: { place: string; path: string }
}

/** @throws Obstacle */
export async function listeningOf(
  entry: unknown,
  directory: string,
  env: Environment = {},
): Promise<ListenConfiguration> {
  if (typeof entry === 'string') return listenerOf({ address: entry }, directory, env)
  if (!Check(ListenEntry, entry) || typeof entry === 'string') return { address: listenOf(DEFAULT_LISTEN), files: [] }
  return listenerOf(entry, directory, env)
}

/** @throws Obstacle */
export async function listenerOf(
  { address: text, tls }: { address: string; tls?: Static<typeof ListenTls> },
  directory: string,
  env: Environment,
): Promise<ListenConfiguration> {
  const address = addressOf(text, directory)
  if (tls === undefined) return { address, files: [] }
  if (tls === 'auto') return { address, tls, files: [] }
  const { cert, key } = tls
  const pair = new Pair(await certificatesOf(cert, directory), await keyOf(resolve(directory, key), env))
  return { address, tls: pair, files: [resolve(directory, cert), resolve(directory, key)] }
}

/** No way of printing it shows the key. */
class Pair implements CertificatePair {
  readonly cert: string
  readonly key: string

  constructor(cert: string, key: string) {
    this.cert = cert
    this.key = key
  }

  toJSON(): CertificatePair {
    return { cert: this.cert, key: REDACTED }
  }

  [inspect.custom](): CertificatePair {
    return this.toJSON()
  }
}

function addressOf(text: string, directory: string): ListenAddress {
  if (!text.startsWith('unix:')) return listenOf(text)
  return { path: resolve(directory, text.slice('unix:'.length)) }
}

async function keyOf(file: string, env: Environment): Promise<string> {
  const text = await readSecretFile(file, env)
  if (/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(text)) return text
  throw new Obstacle(`${file} holds no private key`, 'Name a PEM file: -----BEGIN PRIVATE KEY----- must be in it')
}

/** Whether only this machine, or who may open a file on it, can connect. */
export function isPrivate({ address }: Listen): boolean {
  if (!('host' in address)) return true
  const { host } = address
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
