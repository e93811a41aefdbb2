import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Account } from './account.ts'

/** Milliseconds that one side may stay once it has been sent everything and the end of the other. */
const LINGER = 5_000
/** Milliseconds of silence after which the system asks whether the caller is still there. */
const KEEP_ALIVE = 60_000

/**
 * Lets bytes pass both ways, each at the speed of who takes them, until one side ends; then the other is ended too.
 * @param parts.head what the caller had sent already
 */
export function tunnel(parts: { caller: Duplex; head: Buffer; upstream: Duplex; account: Account }): void {
  const { caller, head, upstream, account } = parts
  if (caller instanceof Socket) caller.setTimeout(0).setKeepAlive(true, KEEP_ALIVE)
  upstream.on('error', () => upstream.destroy())
  caller.on('data', (chunk: Buffer) => {
    account.bytesUp += chunk.length
  })
  upstream.on('data', (chunk: Buffer) => {
    account.bytesDown += chunk.length
  })
  account.bytesUp += head.length
  upstream.write(head)
  caller.pipe(upstream)
  upstream.pipe(caller)
  endWith(caller, upstream)
  endWith(upstream, caller)
}

/** Ends `other` for good once `one` is gone; what it has sent before is delivered first. */
function endWith(one: Duplex, other: Duplex): void {
  one.once('close', () => {
    // Without an end it broke off, and so does the other.
    if (!one.readableEnded) other.destroy()
  })
  other.once('finish', () => {
    const timer = setTimeout(() => other.destroy(), LINGER).unref()
    other.once('close', () => clearTimeout(timer))
  })
}
