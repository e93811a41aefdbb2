import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import type { Appliance } from './appliance.ts'
import { Audit } from './audit.ts'
import { type Configuration, ConfigurationError } from './config/configuration.ts'
import { fixedPart } from './config/fixed.ts'
import { Failure, messageOf } from './errors.ts'
import { Fleet } from './fleet.ts'
import type { HandedSocket } from './listen/activation.ts'
import { pageAt } from './listen/address.ts'
import { Listeners } from './listeners.ts'
import { observersOf } from './observers.ts'
import { Guard } from './proxy/guard.ts'
import { bind } from './proxy/mount.ts'
import { Placeholders } from './proxy/placeholder.ts'
import { offeredResponse } from './proxy/upgrade.ts'
import type { Redactor } from './redactor.ts'
import { type Clock, systemClock } from './session/clock.ts'
import type { SessionEvent } from './session/session.ts'
import { StateDirectory } from './state/store.ts'
import type { Watchers } from './status/page/watchers.ts'
import type { Tracing } from './tracing/tracing.ts'

// Longer than the rule allows by a few lines: the life of the whole, from its start over reloads to its end, is one story.

export interface ServerParts {
  log: Logger
  redactor: Redactor
  version: string
  clock?: Clock
  /** As in `AppParts`. */
  longestDelay?: number
  /** Where the local authority is kept, for listeners with `tls: auto`. */
  authorityDirectory?: string
  /** As in `ListenersParts`. */
  certificateLife?: number
  handed?: readonly HandedSocket[]
  /** Reads the configuration anew, for `reload`. */
  load?: () => Promise<Configuration>
  onEvent?: (appliance: string, event: SessionEvent) => void
}

/** The whole product at work: listeners, the routes, and a session at each appliance. */
export class ProxyServer {
  /** Told of every configuration that comes into force after the first. */
  onConfiguration: ((configuration: Configuration) => void) | undefined
  readonly #parts: ServerParts
  readonly #fleet: Fleet
  readonly #state: StateDirectory | undefined
  readonly #audit: Audit | undefined
  readonly #tracing: Tracing | undefined
  readonly #watchers: Watchers
  readonly #listeners: Listeners
  #configuration: Configuration
  #guard: Guard
  #reloading: Promise<unknown> = Promise.resolve()

  private constructor(parts: {
    server: ServerParts
    fleet: Fleet
    state: StateDirectory | undefined
    audit: Audit | undefined
    tracing: Tracing | undefined
    watchers: Watchers
    listeners: Listeners
    configuration: Configuration
    guard: Guard
  }) {
    this.#parts = parts.server
    this.#fleet = parts.fleet
    this.#state = parts.state
    this.#audit = parts.audit
    this.#tracing = parts.tracing
    this.#watchers = parts.watchers
    this.#listeners = parts.listeners
    this.#configuration = parts.configuration
    this.#guard = parts.guard
  }

  /**
   * Listens, and begins to sign in everywhere.
   * @throws ListenError when an address cannot be had, StateDirectoryError or StateDirectoryHeldError
   */
  static async start(configuration: Configuration, parts: ServerParts): Promise<ProxyServer> {
    const { log, redactor, clock = systemClock } = parts
    const audit = await auditOf(configuration, log, redactor)
    let server: ProxyServer | undefined
    const observers = await observersOf({
      ...parts,
      configuration,
      audit,
      appliances: () => fleet.appliances,
      listenerCertificate: () => (server === undefined ? undefined : server.#listeners.certificate),
    })
    const state = await openState(configuration, log, redactor)
    const letGo = async (error: unknown): Promise<never> => {
      await state?.close()
      throw error
    }
    const placeholders = new Placeholders(() => clock.wall(), state?.subkey('placeholders'))
    const guard = await Guard.open(configuration.guard, namesOf(configuration), placeholders).catch(letGo)
    const fleet = new Fleet({ log, clock, redactor, state, onEvent: observers.onEvent })
    const app = await buildApp({
      ...parts,
      ...observers,
      appliances: fleet.appliances,
      guard: () => (server === undefined ? guard : server.#guard),
      root: () => rootOf(server?.configuration ?? configuration),
      servedAt: name => server?.servedAt(name) ?? [],
      closing: () => server?.closing ?? false,
      reload: () => server?.reload() ?? Promise.resolve(),
    })
    const listeners = await Listeners.open(configuration, {
      log,
      handle(request, response, tag) {
        if (tag !== undefined) bind(request, tag)
        app(request, response)
      },
      onUpgrade(request, socket, head, tag) {
        if (tag !== undefined) bind(request, tag)
        app(request, offeredResponse(request, socket, head))
      },
      names: () => (server?.configuration ?? configuration).appliances.map(({ name }) => `${name}.localhost`),
      authorityDirectory: parts.authorityDirectory,
      certificateLife: parts.certificateLife,
      handed: parts.handed ?? [],
    }).catch(letGo)
    const { tracing, watchers } = observers
    const opened = { fleet, state, audit, tracing, watchers, listeners }
    server = new ProxyServer({ server: parts, ...opened, configuration, guard })
    fleet.apply(configuration.appliances)
    return server
  }

  /** Where the proxy itself listens. */
  get url(): string {
    return this.#listeners.url
  }

  /** The addresses of an appliance: under its name or at the root, and those of its own listeners. */
  servedAt(name: string): string[] {
    const own = this.#listeners.urlsOf(name).map(url => pageAt(url, '/'))
    return [pageAt(this.url, rootOf(this.#configuration) === name ? '/' : `/${name}/`), ...own]
  }

  /** The one in force. */
  get configuration(): Configuration {
    return this.#configuration
  }

  /** True from the moment it was told to close. */
  get closing(): boolean {
    return this.#listeners.closing
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
    const closed = this.#listeners.close(grace)
    // A listener that closes would wait for the pages that are open.
    this.#watchers.end()
    const cut = await closed
    if (cut > 0) log.warn({ requests: cut }, 'requests were cut at the end of the shutdown timeout')
    await this.#reloading
    await this.#fleet.close()
    await this.#state?.close()
    await this.#audit?.close()
    await this.#tracing?.close()
  }

  async #reload(): Promise<void> {
    const { load, log } = this.#parts
    if (load === undefined || this.closing) return
    try {
      this.#audit?.reopen()
      const next = await load()
      const fixed = fixedPart(this.#configuration, next)
      if (fixed !== undefined) throw new Error(`${fixed} cannot be changed while the proxy runs; restart it`)
      const guard = await this.#guard.successor(next.guard, namesOf(next))
      const listening = await this.#listeners.change(next)
      if (this.closing) {
        listening.abandon()
        return
      }
      // A listener that closes would wait for the pages that are open there. And who may see what may have changed with
      // the callers: pages come back by themselves, those that still may.
      if (listening.commit() || guard.knowsCallers || this.#guard.knowsCallers) this.#watchers.end()
      this.#configuration = next
      this.#guard = guard
      this.#fleet.apply(next.appliances)
      this.#listeners.refreshCertificates()
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
}

function namesOf({ appliances }: Configuration): string[] {
  return appliances.map(({ name }) => name)
}

async function auditOf({ audit }: Configuration, log: Logger, redactor: Redactor): Promise<Audit | undefined> {
  if (audit === undefined) return undefined
  return Audit.open(audit, { redactor, onTrouble: (message, details) => log.error(details, message) })
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
