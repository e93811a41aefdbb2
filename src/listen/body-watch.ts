import type { IncomingMessage } from 'node:http'

interface Seen {
  /** Bytes that its connection had brought. */
  bytes: number
  since: number
}

/** Notices bodies that stand still. One timer for all of them, and none while there are none. */
export class BodyWatch {
  readonly #timeout: number
  readonly #onStall: (request: IncomingMessage) => void
  readonly #receiving = new Map<IncomingMessage, Seen>()
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
    this.#receiving.set(request, { bytes: request.socket.bytesRead, since: performance.now() })
    request.once('close', () => this.#receiving.delete(request))
    this.#timer ??= setInterval(() => this.#look(), Math.ceil(this.#timeout / 8)).unref()
  }

  #look(): void {
    const now = performance.now()
    for (const [request, seen] of this.#receiving) {
      if (request.complete) {
        this.#receiving.delete(request)
        continue
      }
      const { bytesRead } = request.socket
      // Bytes that nobody has taken yet mean that it is the appliance who is slow, not the caller.
      if (bytesRead !== seen.bytes || request.readableLength > 0) {
        seen.bytes = bytesRead
        seen.since = now
        continue
      }
      if (now - seen.since < this.#timeout) continue
      this.#receiving.delete(request)
      this.#onStall(request)
    }
    if (this.#receiving.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

function bringsBody({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return true
  const length = headers['content-length']
  return length !== undefined && length !== '0'
}
