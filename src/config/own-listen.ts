import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import type { Product } from '../dialects/index.ts'
import { attempted, type Findings, type Path } from './findings.ts'
import { type ListenConfiguration, ListenTls, listenerOf } from './listen.ts'
import type { Environment } from './secret-source.ts'

/** What an appliance's own listener is opened on unless a host is named. */
const HOST = '127.0.0.1'

const Port = Type.Integer({ minimum: 0, maximum: 65_535, title: 'Port', description: 'a port of 127.0.0.1' })

const addressWords = {
  title: 'Address',
  description: 'PORT, HOST:PORT such as 127.0.0.1:4443, unix:/path of a socket, or vendor',
}

const Address = Type.String({
  pattern: '^([0-9]{1,5}|(\\[[0-9A-Fa-f:.]+\\]|[^\\s:\\[\\]]+):[0-9]{1,5}|unix:.+)$',
  ...addressWords,
})

const Vendor = Type.Literal('vendor', { title: 'Vendor', description: 'the port that its product has by default' })

const Secured = Type.Object(
  { address: Type.Union([Port, Vendor, Address], addressWords), tls: ListenTls },
  { additionalProperties: false },
)

const One = Type.Union([Port, Vendor, Address, Secured], {
  description: 'PORT, HOST:PORT, unix:/path, vendor, or { address, tls: auto } or { address, tls: { cert, key } }',
})
type One = Static<typeof One>

/** Where an appliance is served by itself, as it stands in the configuration. */
export const OwnListen = Type.Union([Port, Vendor, Address, Secured, Type.Array(One, { minItems: 1 })], {
  title: 'Own listeners',
  description:
    'Where this appliance is served at the root path: PORT (0 to 65535, of 127.0.0.1), HOST:PORT, unix:/path, vendor ' +
    '(the port that its product has by default, with tls: auto), { address, tls: auto }, { address, tls: { cert, key } ' +
    '}, or a list of them',
})

interface Parts {
  /** As it stands in the configuration, not checked yet. */
  entry: unknown
  product: Product
  path: Path
  findings: Findings
  context: { directory: string; env: Environment }
}

/** The listeners of one appliance; what is wrong with them is in the findings. */
export async function ownListeningOf({ entry, product, path, findings, context }: Parts) {
  if (!Check(OwnListen, entry)) return []
  const made = await Promise.all(
    Array.isArray(entry) ? entry.map((one, index) => listening(one, [...path, index])) : [listening(entry, path)],
  )
  return made.filter(listen => listen !== undefined)

  async function listening(one: One, at: Path): Promise<ListenConfiguration | undefined> {
    const listen = await attempted(findings, at, () =>
      listenerOf(writtenOut(one, product), context.directory, context.env),
    )
    return listen && { ...listen, at: findings.whereIs(at) }
  }
}

/** In the form that the proxy's own `listen` has. */
function writtenOut(one: One, { defaultPort }: Product): { address: string; tls?: Static<typeof ListenTls> } {
  const { address, tls } = typeof one === 'object' ? one : { address: one }
  if (address === 'vendor') return { address: `${HOST}:${defaultPort}`, tls: tls ?? 'auto' }
  const isPort = typeof address === 'number' || /^\d+$/.test(address)
  return { address: isPort ? `${HOST}:${address}` : address, ...(tls === undefined ? {} : { tls }) }
}
