import { type ListenAddress, printed } from '../listen/address.ts'
import type { Configuration, GuardConfiguration } from './configuration.ts'
import { isPrivate, type ListenConfiguration } from './listen.ts'
import { ConfigurationError, type Mistake } from './mistake.ts'

/**
 * Looks at all listeners of a configuration together.
 * @throws ConfigurationError when two want the same address, or one can be reached by more than may call
 */
export function checkListeners({ listen, appliances, guard }: Configuration): void {
  const all = [listen, ...appliances.flatMap(appliance => appliance.listen)]
  const mistakes: Mistake[] = []
  for (const [index, listener] of all.entries()) {
    const words = openness(listener, guard) ?? clash(listener, all.slice(0, index))
    if (words !== undefined) mistakes.push({ ...whereIs(listener), ...words })
  }
  if (mistakes.length > 0) throw new ConfigurationError(mistakes)
}

type Words = Pick<Mistake, 'message' | 'remedy'>

/** Whoever can connect speaks with the rights of the accounts: that must not be the whole network by mistake. */
export function openness(
  { address, tls }: Pick<ListenConfiguration, 'address' | 'tls'>,
  { allowInsecureListen, callers }: GuardConfiguration,
): Words | undefined {
  if (allowInsecureListen || isPrivate({ address }) || (callers.length > 0 && tls !== undefined)) return undefined
  const missing = callers.length > 0 ? 'without TLS' : 'where nobody has to prove who calls'
  return {
    message: `${printed(address)} can be reached from other machines, ${missing}`,
    remedy: 'Listen on 127.0.0.1 or a Unix socket, or set callers and tls; allowInsecureListen: true takes the risk',
  }
}

function clash(listener: ListenConfiguration, before: readonly ListenConfiguration[]): Words | undefined {
  const other = before.find(({ address }) => overlap(address, listener.address))
  if (other === undefined) return undefined
  const { place, path } = whereIs(other)
  return {
    message: `${printed(listener.address)} is taken by ${path} (${place})`,
    remedy: 'Choose another port or path for one of the two',
  }
}

/** Whether no two processes could listen on both. Port 0 stands for any that is free. */
function overlap(one: ListenAddress, other: ListenAddress): boolean {
  if ('path' in one || 'path' in other) return 'path' in one && 'path' in other && one.path === other.path
  if ('fd' in one || 'fd' in other || one.port !== other.port || one.port === 0) return false
  const hosts = [hostOf(one), hostOf(other)]
  // `::` takes in IPv4 as well.
  return hosts[0] === hosts[1] || hosts.includes('::') || (hosts.includes('0.0.0.0') && !hosts.includes('::1'))
}

function hostOf({ host }: { host: string }): string {
  return host.toLowerCase() === 'localhost' ? '127.0.0.1' : host.toLowerCase()
}

function whereIs({ at }: ListenConfiguration): { place: string; path: string } {
  return at ?? { place: 'command line or environment', path: 'listen' }
}
