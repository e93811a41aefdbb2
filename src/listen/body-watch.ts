import type { IncomingMessage } from 'node:http'
import { Chain, Link } from '../chain.ts'

class Receiving extends Link {
  readonly request: IncomingMessage
  /** Bytes that its connection had brought. */
  bytes: number
  since = performance.now()

  constructor(request: IncomingMessage) {
    super()
    this.request = request
    this.bytes = request.socket.bytesRead
  }
}

/** Notices bodies that stand still. One timer for all of them, and none while there are none. */
export class BodyWatch {
  readonly #timeout: number
  readonly #onStall: (request: IncomingMessage) => void
  readonly #all = new Chain<Receiving>()
  #timer: NodeJS.Timeout | undefined

  /**
   * @param timeout milliseconds that a body may stand still
   * @param onStall told once of each
   */
  constructor(timeout: number, onStall: (request: IncomingMessage) => void) {
    this.#timeout = timeout
    this.#onStall = onStall
  }

  watch(request: IncomingMessage): void {
    if (!bringsBody(request)) return
    const receiving = new Receiving(request)
    this.#all.add(receiving)
    request.once('close', () => this.#all.delete(receiving))
    this.#timer ??= setInterval(() => this.#look(), Math.ceil(this.#timeout / 8)).unref()
  }

  #look(): void {
    const now = performance.now()
    for (const receiving of [...this.#all]) {
      const { request } = receiving
      if (request.complete) {
        this.#all.delete(receiving)
        continue
      }
      const { bytesRead } = request.socket
      // Bytes that nobody has taken yet mean that it is the appliance who is slow, not the caller.
      if (bytesRead !== receiving.bytes || request.readableLength > 0) {
        receiving.bytes = bytesRead
        receiving.since = now
        continue
      }
      if (now - receiving.since < this.#timeout) continue
      this.#all.delete(receiving)
      this.#onStall(request)
    }
    if (this.#all.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

function bringsBody({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return true
  const length = headers['content-length']
  return length !== undefined && length !== '0'
}
