import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

export interface Address {
  host: string
  port: number
}

/** A port was asked for that cannot be had. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly errno: string

  constructor(address: Address, errno: string) {
    const reason = errno === 'EADDRINUSE' ? 'is taken by another process' : `cannot be listened on (${errno})`
    super(`${printed(address)} ${reason}`)
    this.errno = errno
  }
}

/** An HTTP server that lets go without losing a request that it has accepted. */
export class Listener {
  readonly #server: Server
  readonly #inFlight = new Set<ServerResponse>()
  #closing = false

  private constructor(server: Server) {
    this.#server = server
  }

  /** @throws ListenError */
  static async open(address: Address, handle: RequestHandler): Promise<Listener> {
    // Long uploads are an appliance's daily bread: only the head of a request has a time limit.
    const server = createServer({ requestTimeout: 0, headersTimeout: 10_000, keepAliveTimeout: 72_000 })
    const listener = new Listener(server)
    server.on('request', (request, response) => {
      listener.#track(response)
      handle(request, response)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', error => reject(new ListenError(address, 'code' in error ? String(error.code) : error.name)))
      server.listen(address.port, address.host, resolve)
    })
    return listener
  }

  get address(): Address {
    const bound = this.#server.address()
    if (bound === null || typeof bound === 'string') return { host: '', port: 0 }
    return { host: bound.address, port: bound.port }
  }

  /** True from the moment it was told to close. */
  get closing(): boolean {
    return this.#closing
  }

  get url(): string {
    return `http://${printed(this.address)}`
  }

  /**
   * Stops accepting, lets requests in flight finish, and cuts what is left after the given milliseconds.
   * @returns the number of requests that were cut
   */
  async close(grace: number): Promise<number> {
    this.#closing = true
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    for (const response of this.#inFlight) response.shouldKeepAlive = false
    this.#server.closeIdleConnections()
    let cut = 0
    const timer = setTimeout(() => {
      cut = this.#inFlight.size
      this.#server.closeAllConnections()
    }, grace)
    await closed
    clearTimeout(timer)
    return cut
  }

  #track(response: ServerResponse): void {
    this.#inFlight.add(response)
    if (this.#closing) response.shouldKeepAlive = false
    response.once('close', () => {
      this.#inFlight.delete(response)
      if (this.#closing) this.#server.closeIdleConnections()
    })
  }
}

function printed({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
