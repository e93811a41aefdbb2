import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { endAll } from '../end-of-turn.ts'
import { type CertificatePair, type Listen, type ListenAddress, ListenError, urlOf } from './address.ts'
import { BodyWatch } from './body-watch.ts'
import { createServerFor } from './create-server.ts'
import { InFlight } from './in-flight.ts'
import { defaultLimits, excessOf, forwardProxyWanted, type Limits } from './limits.ts'
import type { LocalCertificates } from './local-certificates.ts'
import { refusalOf } from './malformed.ts'
import { takeQueued } from './queue.ts'
import { type RefusalCode, refuse, refuseConnection } from './refusal.ts'
import { secureOptions } from './secure.ts'
import { clearPath, closeSocket, inodeAt, listenPrivately } from './unix-socket.ts'
import { headWithoutOffer, isWebSocket } from './upgrade.ts'

// Longer than the rule allows by a line or two: what happens to a connection is one story.

/** @param tag of the listener that the request came in by */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse, tag: string | undefined) => void

/** For WebSocket only. The socket is the handler's from then on; its errors are dealt with. */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer, tag: string | undefined) => void

export interface ListenerOptions {
  /** See `Listener.tag`. */
  tag?: string | undefined
  /** Without one, a request for WebSocket is handled as any other. */
  onUpgrade?: UpgradeHandler
  /** Wanted for `tls: auto`. */
  certificates?: LocalCertificates
  /** What its certificate by `tls: auto` shall be good for, beside localhost. Asked at each renewal. */
  names?: () => readonly string[]
  /** Asks callers for a certificate. Any that they hold the key of is taken, and whose it is must be looked up. */
  askForCertificate?: boolean
  limits?: Partial<Limits>
}

/** An HTTP server that lets go without losing a request that it has accepted. */
export class Listener {
  /** The appliance that is served at the root path; undefined where the proxy itself is. */
  tag: string | undefined
  readonly #server: Server | SecureServer
  readonly #given: ListenAddress
  readonly #inFlight = new InFlight()
  readonly #upgraded = new Set<Duplex>()
  /** Every TCP connection, and for TLS what is inside of each as well. */
  readonly #sockets = new Set<Socket>()
  readonly #refused = new WeakSet<Duplex>()
  #accepted = 0
  #inode: number | undefined
  #forgetCertificate: (() => void) | undefined
  #certificate: string | undefined
  #drained: Promise<void> | undefined

  private constructor(server: Server | SecureServer, given: ListenAddress) {
    this.#server = server
    this.#given = given
  }

  /** @throws ListenError */
  static async open(listen: Listen, handle: RequestHandler, options: ListenerOptions = {}): Promise<Listener> {
    const { onUpgrade } = options
    const limits = { ...defaultLimits, ...options.limits }
    const server = createServerFor(listen, limits, options)
    const listener = new Listener(server, listen.address)
    listener.tag = options.tag
    if (typeof listen.tls === 'object') listener.#certificate = listen.tls.cert
    const bodies = new BodyWatch(limits.bodyTimeout, request =>
      listener.#refuse(request.socket, 'REQUEST_STALLED', `The body stood still for ${limits.bodyTimeout} ms.`),
    )
    server.maxConnections = limits.connections
    // Node.js would drop the surplus without a word; they are counted instead.
    server.maxHeadersCount = 0
    server.on('connection', socket => listener.#keep(socket))
    server.on('secureConnection', socket => listener.#keep(socket))
    server.on('clientError', (error, socket) => {
      const { code, detail } = refusalOf(error)
      listener.#refuse(socket, code, detail)
    })
    server.on('request', (request, response) => {
      listener.#track(response)
      // What was sent behind a refused request came before its sender knew, and may not be what it seems.
      if (listener.#refused.has(request.socket)) return
      const excess = excessOf(request, limits)
      if (excess !== undefined) {
        listener.#refused.add(request.socket)
        return refuse(response, excess.code, excess.detail)
      }
      bodies.watch(request)
      handle(request, response, listener.tag)
    })
    server.on('connect', (_, socket) => listener.#refuse(socket, 'NOT_A_FORWARD_PROXY', forwardProxyWanted))
    server.on('upgrade', (request, socket, head) => {
      const excess = excessOf(request, limits)
      if (excess !== undefined) return listener.#refuse(socket, excess.code, excess.detail)
      if (onUpgrade === undefined || !isWebSocket(request)) return listener.#beginAgain(request, socket, head)
      // Node.js hands the connection over although answers to what came before are still due on it.
      if ([...listener.#inFlight].some(({ req }) => req.socket === socket))
        return listener.#refuse(socket, 'BAD_REQUEST', 'WebSocket was asked for before other answers had come.')
      listener.#trackUpgraded(socket)
      onUpgrade(request, socket, head, listener.tag)
    })
    await listener.#provideCertificate(listen, options)
    await listener.#listen().catch((error: unknown) => {
      listener.#forgetCertificate?.()
      throw error
    })
    return listener
  }

  /** True from the moment it was told to close. */
  get closing(): boolean {
    return this.#drained !== undefined
  }

  /** Where it listens: `http://HOST:PORT`, `https://HOST:PORT`, `unix:PATH` or, when nothing else is known, `fd:N`. */
  get url(): string {
    return urlOf(this.address, 'setSecureContext' in this.#server ? 'https' : 'http')
  }

  /** What it listens on, as the system has it. */
  get address(): ListenAddress {
    const bound = this.#server.address()
    if (bound === null) return this.#given
    return typeof bound === 'string' ? { path: bound } : { host: bound.address, port: bound.port }
  }

  /** PEM text of the certificate that it shows; undefined without TLS. */
  get certificate(): string | undefined {
    return this.#certificate
  }

  /**
   * Shows another certificate from the next connection on.
   * @throws whatever OpenSSL says of a pair that does not fit together; the one before is still shown
   */
  swapCertificate(pair: CertificatePair): void {
    if (!('setSecureContext' in this.#server)) return
    this.#server.setSecureContext(secureOptions(pair))
    this.#certificate = pair.cert
  }

  /** Stops accepting, and lets requests in flight finish, however long they take. */
  drain(): Promise<void> {
    this.#drained ??= this.#drain()
    return this.#drained
  }

  /**
   * Drains, and cuts what is left after the given milliseconds.
   * @returns the number of requests and upgraded connections that were cut
   */
  async close(grace: number): Promise<number> {
    let cut = 0
    const timer = setTimeout(() => {
      cut = this.#inFlight.size + this.#upgraded.size
      for (const socket of this.#sockets) socket.destroy()
    }, grace)
    await this.drain()
    clearTimeout(timer)
    return cut
  }

  async #drain(): Promise<void> {
    this.#forgetCertificate?.()
    for (const response of this.#inFlight) response.shouldKeepAlive = false
    await takeQueued(() => this.#accepted)
    const closed = once(this.#server, 'close')
    if ('path' in this.#given) closeSocket(this.#server, { path: this.#given.path, inode: this.#inode })
    else this.#server.close()
    // Node.js does not count a connection that has not brought a request yet among the idle ones.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
    await closed
  }

  async #listen(): Promise<void> {
    const server = this.#server
    const address = this.#given
    if ('path' in address) await clearPath(address.path)
    await new Promise<void>((resolve, reject) => {
      server.once('error', error => reject(new ListenError(address, 'code' in error ? String(error.code) : error.name)))
      if ('path' in address) listenPrivately(server, address.path, resolve)
      else server.listen(address, resolve)
    })
    if ('path' in address) this.#inode = inodeAt(address.path)
  }

  async #provideCertificate({ address, tls }: Listen, { certificates, names }: ListenerOptions): Promise<void> {
    if (tls !== 'auto') return
    if (certificates === undefined) throw new ListenError(address, 'ENOCERT', 'wants a local authority for tls: auto')
    this.#forgetCertificate = await certificates.provide(names ?? (() => []), pair => this.swapCertificate(pair))
  }

  #keep(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#accepted += 1
    this.#sockets.add(socket)
    // Where Node.js has let go of it nobody else would hear an error, and one that nobody hears ends the process.
    socket.on('error', () => {})
    // Before Node.js, which ends the connection of a caller that says no more.
    socket.prependOnceListener('end', endAll)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#inFlight.abandon(socket)
    })
  }

  #track(response: ServerResponse): void {
    if (this.closing) response.shouldKeepAlive = false
    this.#inFlight.add(response, () => {
      if (this.closing) this.#server.closeIdleConnections()
    })
  }

  #trackUpgraded(socket: Duplex): void {
    this.#upgraded.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#upgraded.delete(socket))
  }

  /**
   * Gives a connection back to Node.js as if its request had not asked for another protocol. What came before it is
   * answered first: Node.js, beginning again, knows nothing of that, and would not find its turn.
   */
  #beginAgain(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const before = this.#inFlight.of(socket).at(-1)
    if (before !== undefined) {
      before.once('close', () => this.#beginAgain(request, socket, head))
      return
    }
    if (!socket.writable) return
    socket.unshift(Buffer.concat([headWithoutOffer(request), head]))
    this.#server.emit('setSecureContext' in this.#server ? 'secureConnection' : 'connection', socket)
  }

  /** Answers once where an answer can still be understood, and ends the connection in any case. */
  #refuse(socket: Duplex, code: RefusalCode, detail: string): void {
    if (this.#refused.has(socket)) return
    this.#refused.add(socket)
    endAll()
    const waiting = this.#inFlight.of(socket)
    const last = waiting.at(-1)
    if (last?.req.complete && !waiting.some(({ headersSent }) => headersSent)) {
      // What came before is whole, and gets its answer; what followed it is no request, and gets none.
      last.shouldKeepAlive = false
      last.once('close', () => socket.destroy())
      return
    }
    const isLate = waiting.length > 1 || waiting.some(({ headersSent }) => headersSent)
    if (isLate || !socket.writable) socket.destroy()
    else refuseConnection(socket, code, detail)
  }
}
