import { ListenError } from '../listen/address.ts'
import { CommandError } from './command.ts'

/**
 * Starts what listens.
 * @param remedy how another address is chosen
 * @throws CommandError with the remedy when the address cannot be had
 */
export async function onFreePort<T>(remedy: string, start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    const refused = error instanceof ListenError ? error : refusedAddress(error)
    if (refused === undefined) throw error
    throw new CommandError(`${refused.message}. ${remedy}`, { cause: error })
  }
}

/** Node.js says which address it was. */
function refusedAddress(error: unknown): ListenError | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || error.syscall !== 'listen') return undefined
  const host = 'address' in error ? String(error.address) : ''
  const port = 'port' in error ? Number(error.port) : 0
  return new ListenError({ host, port }, 'code' in error ? String(error.code) : error.name)
}
