import type { ApplianceConfiguration, Configuration } from './config/configuration.ts'
import type { HandedSocket } from './listen/activation.ts'
import { type Listen, pageAt, urlOf } from './listen/address.ts'

/** Something to listen on, and for whom. */
export interface Place {
  listen: Listen
  /** The appliance that is served there at the root path; undefined: the proxy itself. */
  appliance: string | undefined
}

/** The sockets that were handed down, of which only those keep their name that have the name of an appliance. */
export function namedSockets(handed: readonly HandedSocket[], { appliances }: Configuration): HandedSocket[] {
  const names = new Set<string | undefined>(appliances.map(({ name }) => name))
  return handed.map(({ fd, name }) => ({ fd, name: names.has(name) ? name : undefined }))
}

/**
 * Everything that is to be listened on; the proxy's own places come first. A socket that was handed down under the name
 * of an appliance takes the place of the first entry of its `listen`, a second one that of the second, and so on; those
 * without a name take the place of the proxy's own.
 * @param handed as `namedSockets` made them
 */
export function placesOf({ listen, appliances }: Configuration, handed: readonly HandedSocket[]): Place[] {
  const own = handed.filter(({ name }) => name === undefined)
  return [
    ...inPlaceOf([listen], own).map(place => ({ listen: place, appliance: undefined })),
    ...appliances.flatMap(appliance => {
      const sockets = handed.filter(({ name }) => name === appliance.name)
      return inPlaceOf(appliance.listen, sockets).map(place => ({ listen: place, appliance: appliance.name }))
    }),
  ]
}

/** Each socket speaks TLS as the entry does whose place it takes; those beyond speak it as the last entry does. */
function inPlaceOf(entries: readonly Listen[], sockets: readonly HandedSocket[]): Listen[] {
  const taken = sockets.map(({ fd }, index) => {
    const { tls } = entries[index] ?? entries.at(-1) ?? {}
    return { address: { fd }, ...(tls === undefined ? {} : { tls }) }
  })
  return [...taken, ...entries.slice(sockets.length)]
}

/** Where an appliance will be served, as far as the configuration says. */
export function addressesOf({ listen, mount }: Configuration, { name, listen: own }: ApplianceConfiguration): string[] {
  const url = ({ address, tls }: Listen) => urlOf(address, tls === undefined ? 'http' : 'https')
  return [pageAt(url(listen), mount === 'root' ? '/' : `/${name}/`), ...own.map(place => pageAt(url(place), '/'))]
}
