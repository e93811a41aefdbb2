import type { Logger } from 'pino'
import type { Configuration } from './config/configuration.ts'
import { openness } from './config/listeners.ts'
import type { HandedSocket } from './listen/activation.ts'
import { type Listen, ListenError, printed } from './listen/address.ts'
import { checkCertificate } from './listen/create-server.ts'
import { Listener, type ListenerOptions, type RequestHandler } from './listen/listener.ts'
import type { LocalCertificates } from './listen/local-certificates.ts'
import { namedSockets, type Place, placesOf } from './places.ts'

export interface ListenersParts {
  log: Logger
  handle: RequestHandler
  onUpgrade?: ListenerOptions['onUpgrade']
  /** Names below localhost that a certificate by `tls: auto` is good for. */
  names: () => readonly string[]
  /** Where the local authority is kept, for `tls: auto`. */
  authorityDirectory: string | undefined
  /** Life of such certificates in milliseconds, when it is not to be the usual one. */
  certificateLife?: number | undefined
  /** Sockets that were handed down to the process. */
  handed: readonly HandedSocket[]
}

/** A listener that is open, and what it was opened for. */
interface Open {
  listener: Listener
  place: Place
  asks: boolean
}

/** A way from one set of listeners to the next, of which one of the two has to be called. */
export interface Change {
  /** @returns whether any was left, which closes when its requests have ended */
  commit(): boolean
  abandon(): void
}

/** Where one server listens: for the proxy itself, and for appliances that are served at the root path. */
export class Listeners {
  readonly #parts: ListenersParts
  readonly #handed: readonly HandedSocket[]
  #open: readonly Open[] = []
  /** Those that are left, for as long as requests that came by them are in flight. */
  readonly #left = new Set<Listener>()
  /** Made for the first listener that wants one. */
  #certificates: LocalCertificates | undefined
  #closing = false

  private constructor(parts: ListenersParts, configuration: Configuration) {
    this.#parts = parts
    // Whose a socket is stays as it is: one that was meant for one appliance must never lead to all of them.
    this.#handed = namedSockets(parts.handed, configuration)
  }

  /** @throws ListenError when one of the addresses cannot be had; then none is listened on */
  static async open(configuration: Configuration, parts: ListenersParts): Promise<Listeners> {
    const listeners = new Listeners(parts, configuration)
    const change = await listeners.change(configuration)
    change.commit()
    return listeners
  }

  /** True from the moment they were told to close. */
  get closing(): boolean {
    return this.#closing
  }

  /** Where the proxy itself listens; the first of several. */
  get url(): string {
    return this.#open.find(({ place }) => place.appliance === undefined)?.listener.url ?? ''
  }

  /** PEM text of the certificate that the proxy itself shows; undefined without TLS. */
  get certificate(): string | undefined {
    return this.#open.find(({ place }) => place.appliance === undefined)?.listener.certificate
  }

  /** Where an appliance is served at the root path. */
  urlsOf(appliance: string): string[] {
    return this.#open.filter(({ place }) => place.appliance === appliance).map(({ listener }) => listener.url)
  }

  /**
   * Opens what another configuration wants and is not there yet. What it does not want any more is left at the commit.
   * @throws ListenError when one of the addresses cannot be had; then nothing has changed
   */
  async change(configuration: Configuration): Promise<Change> {
    const { guard } = configuration
    const asks = guard.callers.some(({ certificate }) => certificate !== undefined)
    const wanted = placesOf(configuration, this.#handed)
    const kept = keptOf(wanted, this.#open, asks)
    const missing = wanted.filter(place => !kept.has(place))
    for (const { listen } of kept.keys()) checkCertificate(listen)
    if (missing.some(({ listen }) => listen.tls === 'auto')) await this.#provideAuthority()
    const made = await Promise.allSettled(missing.map(place => this.#openOne(place, asks, configuration)))
    const opened = made.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    const refused = made.find(result => result.status === 'rejected')
    const abandon = () => {
      for (const { listener } of opened) void listener.drain()
    }
    if (refused !== undefined) {
      abandon()
      throw refused.reason
    }
    return { abandon, commit: () => this.#commit(kept, opened) }
  }

  /** Makes certificates anew whose names have changed. */
  refreshCertificates(): void {
    this.#certificates?.refresh()
  }

  /**
   * Stops accepting, lets requests in flight finish and cuts what is left after the given milliseconds.
   * @returns the number of requests that were cut
   */
  async close(grace: number): Promise<number> {
    this.#closing = true
    const all = [...this.#open.map(({ listener }) => listener), ...this.#left]
    const cuts = await Promise.all(all.map(listener => listener.close(grace)))
    return cuts.reduce((sum, requests) => sum + requests, 0)
  }

  #commit(kept: ReadonlyMap<Place, Open>, opened: readonly Open[]): boolean {
    const { log } = this.#parts
    const stays = [...kept].map(([place, open]) => ({ ...open, place }))
    for (const { listener, place } of stays) {
      listener.tag = place.appliance
      if (typeof place.listen.tls === 'object') listener.swapCertificate(place.listen.tls)
    }
    const unwanted = this.#open.filter(({ listener }) => !stays.some(open => open.listener === listener))
    // What was handed down once cannot be had again.
    const left = unwanted.filter(({ place }) => !('fd' in place.listen.address))
    const idle = unwanted.filter(open => !left.includes(open))
    this.#open = [...stays, ...opened, ...idle]
    for (const { listener, place } of opened) {
      const { appliance } = place
      if (appliance !== undefined)
        log.info({ appliance, url: listener.url }, `${appliance} is served at ${listener.url}`)
    }
    for (const { listener } of left) {
      log.info({ url: listener.url }, `no more connections are taken at ${listener.url}`)
      this.#left.add(listener)
      void listener.drain().then(() => this.#left.delete(listener))
    }
    return left.length > 0
  }

  async #openOne(place: Place, asks: boolean, { guard, limits }: Configuration): Promise<Open> {
    const { listen, appliance } = place
    const { handle, onUpgrade, names } = this.#parts
    const listener = await Listener.open(listen, handle, {
      tag: appliance,
      names,
      askForCertificate: asks,
      limits,
      ...(onUpgrade === undefined ? {} : { onUpgrade }),
      ...(this.#certificates === undefined ? {} : { certificates: this.#certificates }),
    }).catch((error: unknown) => {
      if (error instanceof ListenError && appliance !== undefined) error.message = `${appliance}: ${error.message}`
      throw error
    })
    // Of a socket that was handed down, only the system knows where it is.
    const open = openness({ ...listen, address: listener.address }, guard)
    if (open === undefined) return { listener, place, asks }
    void listener.drain()
    throw new ListenError(listen.address, 'EPERM', `must not be listened on: ${open.message}. ${open.remedy}`)
  }

  async #provideAuthority(): Promise<void> {
    const { authorityDirectory: directory, certificateLife: life } = this.#parts
    if (directory === undefined) return
    // Loaded where it is wanted: it brings a whole library of cryptography along.
    const { LocalCertificates } = await import('./listen/local-certificates.ts')
    this.#certificates ??= await LocalCertificates.open({ directory, ...(life === undefined ? {} : { life }) })
  }
}

/**
 * Which open listener serves each of the places that already has one.
 * @throws ListenError when a place wants to be listened on in another way than it is
 */
function keptOf(wanted: readonly Place[], open: readonly Open[], asks: boolean): Map<Place, Open> {
  const kept = new Map<Place, Open>()
  for (const place of wanted) {
    const { address } = place.listen
    const isFree = 'port' in address && address.port === 0
    const there = open.find(
      other =>
        printed(other.place.listen.address) === printed(address) &&
        (!isFree || other.place.appliance === place.appliance) &&
        ![...kept.values()].includes(other),
    )
    if (there === undefined) continue
    if (kindOf(there.place.listen, there.asks) === kindOf(place.listen, asks)) kept.set(place, there)
    else if (!isFree) throw new ListenError(address, 'EBUSY', 'cannot change its TLS while the proxy runs; restart it')
  }
  return kept
}

/** What takes another listener when it changes; a certificate can be shown anew by the same one. */
function kindOf({ tls }: Listen, asks: boolean): string {
  if (tls === undefined) return 'plain'
  return `${tls === 'auto' ? tls : 'pair'} ${asks}`
}
