import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import type { Appliance } from './appliance.ts'
import { Audit } from './audit.ts'
import { type Configuration, ConfigurationError } from './config/configuration.ts'
import { asksForCertificate, fixedPart } from './config/fixed.ts'
import { Failure, messageOf } from './errors.ts'
import { Fleet } from './fleet.ts'
import { printed } from './listen/address.ts'
import { Listener, type RequestHandler } from './listen/listener.ts'
import type { LocalCertificates } from './listen/local-certificates.ts'
import { Guard } from './proxy/guard.ts'
import type { Redactor } from './redactor.ts'
import { type Clock, systemClock } from './session/clock.ts'
import type { SessionEvent } from './session/session.ts'
import { StateDirectory } from './state/store.ts'

export interface ServerParts {
  log: Logger
  redactor: Redactor
  version: string
  clock?: Clock
  /** As in `AppParts`. */
  longestDelay?: number
  /** Where the local authority is kept, for listeners with `tls: auto`. */
  authorityDirectory?: string
  /** Reads the configuration anew, for `reload`. */
  load?: () => Promise<Configuration>
  onEvent?: (appliance: string, event: SessionEvent) => void
}

/** The whole product at work: a listener, the routes, and a session at each appliance. */
export class ProxyServer {
  /** Told of every configuration that comes into force after the first. */
  onConfiguration: ((configuration: Configuration) => void) | undefined
  readonly #parts: ServerParts
  readonly #fleet: Fleet
  readonly #state: StateDirectory | undefined
  readonly #audit: Audit | undefined
  readonly #listening: Listening
  #configuration: Configuration
  #guard: Guard
  #listener: Listener
  /** Where the proxy listened before, as long as requests that came there are in flight. */
  readonly #left = new Set<Listener>()
  #reloading: Promise<unknown> = Promise.resolve()

  private constructor(parts: {
    server: ServerParts
    fleet: Fleet
    state: StateDirectory | undefined
    audit: Audit | undefined
    listening: Listening
    configuration: Configuration
    guard: Guard
    listener: Listener
  }) {
    this.#parts = parts.server
    this.#fleet = parts.fleet
    this.#state = parts.state
    this.#audit = parts.audit
    this.#listening = parts.listening
    this.#configuration = parts.configuration
    this.#guard = parts.guard
    this.#listener = parts.listener
  }

  /**
   * Listens, and begins to sign in everywhere.
   * @throws ListenError when the address cannot be had, StateDirectoryError or StateDirectoryHeldError
   */
  static async start(configuration: Configuration, parts: ServerParts): Promise<ProxyServer> {
    const { log, redactor, version, onEvent, clock = systemClock } = parts
    const guard = await guardOf(configuration)
    const audit = await auditOf(configuration, redactor)
    const state = await openState(configuration, log, redactor)
    const told = (appliance: string, event: SessionEvent) => {
      audit?.session(appliance, event)
      onEvent?.(appliance, event)
    }
    const fleet = new Fleet({ log, clock, redactor, state, onEvent: told })
    let server: ProxyServer | undefined
    const app = await buildApp({
      appliances: fleet.appliances,
      guard: () => (server === undefined ? guard : server.#guard),
      root: () => rootOf(server?.configuration ?? configuration),
      closing: () => server?.closing ?? false,
      reload: () => server?.reload() ?? Promise.resolve(),
      onRequest: (account, request) => audit?.request(account, request),
      longestDelay: parts.longestDelay,
      version,
      log,
    })
    const listening: Listening = {
      handle: (request, response) => app.routing(request, response),
      names: () => (server?.configuration ?? configuration).appliances.map(({ name }) => `${name}.localhost`),
      authorityDirectory: parts.authorityDirectory,
    }
    const listener = await openListener(configuration, listening).catch(async (error: unknown) => {
      await state?.close()
      throw error
    })
    server = new ProxyServer({ server: parts, fleet, state, audit, listening, configuration, guard, listener })
    fleet.apply(configuration.appliances)
    return server
  }

  get url(): string {
    return this.#listener.url
  }

  /** The one in force. */
  get configuration(): Configuration {
    return this.#configuration
  }

  /** True from the moment it was told to close. */
  get closing(): boolean {
    return this.#listener.closing
  }

  get appliances(): ReadonlyMap<string, Appliance> {
    return this.#fleet.appliances
  }

  /**
   * Reads the configuration anew and makes it the one in force, whole or not at all. No connection is dropped.
   * @throws Failure CONFIGURATION_REFUSED, and the old one runs on
   */
  reload(): Promise<void> {
    const turn = this.#reloading.then(() => this.#reload())
    this.#reloading = turn.catch(() => undefined)
    return turn
  }

  /** Ends in order: not ready, no new connections, requests in flight finish, sessions are signed out or kept. */
  async close(grace = this.#configuration.shutdownTimeout): Promise<void> {
    const { log } = this.#parts
    const cuts = await Promise.all([this.#listener, ...this.#left].map(listener => listener.close(grace)))
    const cut = cuts.reduce((sum, requests) => sum + requests, 0)
    if (cut > 0) log.warn({ requests: cut }, 'requests were cut at the end of the shutdown timeout')
    await this.#reloading
    await this.#fleet.close()
    await this.#state?.close()
    await this.#audit?.close()
  }

  async #reload(): Promise<void> {
    const { load, log } = this.#parts
    if (load === undefined || this.closing) return
    try {
      this.#audit?.reopen()
      const next = await load()
      const fixed = fixedPart(this.#configuration, next)
      if (fixed !== undefined) throw new Error(`${fixed} cannot be changed while the proxy runs; restart it`)
      const guard = await guardOf(next)
      const moved = listenKey(next) !== listenKey(this.#configuration)
      const listener = moved ? await openListener(next, this.#listening) : this.#listener
      if (this.closing) {
        if (moved) void listener.drain()
        return
      }
      if (moved) this.#leave(this.#listener)
      else if (typeof next.listen.tls === 'object') this.#listener.swapCertificate(next.listen.tls)
      this.#configuration = next
      this.#guard = guard
      this.#listener = listener
      this.#fleet.apply(next.appliances)
      this.#listening.certificates?.refresh()
      this.onConfiguration?.(next)
      log.info({ appliances: next.appliances.length, url: this.url }, 'configuration reloaded')
      this.#audit?.write({ event: 'reload', accepted: true })
    } catch (error) {
      const mistakes = error instanceof ConfigurationError ? error.mistakes : [{ message: messageOf(error) }]
      this.#audit?.write({ event: 'reload', accepted: false })
      log.error({ mistakes }, 'the new configuration was refused; the old one runs on')
      throw new Failure('CONFIGURATION_REFUSED', messageOf(error), { cause: error, extensions: { mistakes } })
    }
  }

  #leave(listener: Listener): void {
    this.#left.add(listener)
    void listener.drain().then(() => this.#left.delete(listener))
  }
}

/** What every listener of one server has in common. */
interface Listening {
  handle: RequestHandler
  /** Names below localhost that a certificate by `tls: auto` is good for. */
  names: () => readonly string[]
  authorityDirectory: string | undefined
  /** Made for the first listener that wants one. */
  certificates?: LocalCertificates
}

async function openListener(configuration: Configuration, listening: Listening): Promise<Listener> {
  const { listen, limits } = configuration
  const { handle, names, authorityDirectory: directory } = listening
  if (listen.tls === 'auto' && directory !== undefined) {
    // Loaded where it is wanted: it brings a whole library of cryptography along.
    const { LocalCertificates } = await import('./listen/local-certificates.ts')
    listening.certificates ??= await LocalCertificates.open({ directory })
  }
  const { certificates } = listening
  return Listener.open(listen, handle, {
    askForCertificate: asksForCertificate(configuration),
    names,
    limits,
    ...(certificates === undefined ? {} : { certificates }),
  })
}

/** What takes another listener when it changes; a certificate can be shown anew by the same one. */
function listenKey(configuration: Configuration): string {
  const { address, tls } = configuration.listen
  const asks = tls !== undefined && asksForCertificate(configuration)
  return `${printed(address)} ${tls === 'auto' ? tls : typeof tls} ${asks}`
}

function guardOf({ guard, appliances }: Configuration): Promise<Guard> {
  return Guard.open(
    guard,
    appliances.map(({ name }) => name),
  )
}

async function auditOf({ audit }: Configuration, redactor: Redactor): Promise<Audit | undefined> {
  return audit === undefined ? undefined : Audit.open(audit, redactor)
}

function rootOf({ mount, appliances }: Configuration): string | undefined {
  return mount === 'root' ? appliances[0]?.name : undefined
}

async function openState(
  { state }: Configuration,
  log: Logger,
  redactor: Redactor,
): Promise<StateDirectory | undefined> {
  if (state === undefined) return undefined
  const key = await state.key.reveal()
  redactor.learn(key)
  return StateDirectory.open({
    directory: state.directory,
    key,
    warn: (message, details) => log.warn(details, message),
  })
}
