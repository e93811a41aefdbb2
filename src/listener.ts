import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Turns of the event loop. Node.js takes one connection per turn out of the kernel's queue, and reads it in the next. */
const QUIET_TURNS = 3
/** Twice the longest queue of the kernel, so that callers who never cease to come hold nothing up. */
const MOST_TURNS = 1_022

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
  /** Connections that have not brought a request yet: Node.js does not count them among the idle ones. */
  readonly #silent = new Set<Socket>()
  #connections = 0
  #drained: Promise<void> | undefined

  private constructor(server: Server) {
    this.#server = server
  }

  /** @throws ListenError */
  static async open(address: Address, handle: RequestHandler): Promise<Listener> {
    // Long uploads are an appliance's daily bread: only the head of a request has a time limit.
    const server = createServer({ requestTimeout: 0, headersTimeout: 10_000, keepAliveTimeout: 72_000 })
    const listener = new Listener(server)
    server.on('connection', (socket: Socket) => {
      listener.#connections += 1
      listener.#silent.add(socket)
      socket.once('close', () => listener.#silent.delete(socket))
    })
    server.on('request', (request, response) => {
      listener.#silent.delete(request.socket)
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
    return this.#drained !== undefined
  }

  get url(): string {
    return `http://${printed(this.address)}`
  }

  /** Stops accepting, and lets requests in flight finish, however long they take. */
  drain(): Promise<void> {
    this.#drained ??= this.#drain()
    return this.#drained
  }

  /**
   * Drains, and cuts what is left after the given milliseconds.
   * @returns the number of requests that were cut
   */
  async close(grace: number): Promise<number> {
    let cut = 0
    const timer = setTimeout(() => {
      cut = this.#inFlight.size
      this.#server.closeAllConnections()
    }, grace)
    await this.drain()
    clearTimeout(timer)
    return cut
  }

  async #drain(): Promise<void> {
    for (const response of this.#inFlight) response.shouldKeepAlive = false
    await this.#takeQueued()
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    for (const socket of this.#silent) if (socket.bytesRead === 0) socket.destroy()
    await closed
  }

  /** What reached this machine is accepted, even if it still waits in the kernel: closing now would reset it. */
  async #takeQueued(): Promise<void> {
    for (let turn = 0, quiet = 0; quiet < QUIET_TURNS && turn < MOST_TURNS; turn += 1) {
      const before = this.#connections
      await nextTurn()
      quiet = this.#connections === before ? quiet + 1 : 0
    }
  }

  #track(response: ServerResponse): void {
    this.#inFlight.add(response)
    if (this.closing) response.shouldKeepAlive = false
    response.once('close', () => {
      this.#inFlight.delete(response)
      if (this.closing) this.#server.closeIdleConnections()
    })
  }
}

function printed({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
