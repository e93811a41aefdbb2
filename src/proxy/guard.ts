import type { IncomingMessage } from 'node:http'
import type { GuardConfiguration } from '../config/configuration.ts'
import { Failure } from '../errors.ts'
import { type Caller, Callers, type Shown, type SignedIn } from './callers.ts'
import type { Placeholders } from './placeholder.ts'

/** Under these the proxy is reached from its own machine, whatever resolves them. */
const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]']

/**
 * Who may speak. Host names against DNS rebinding, origins against other sites' pages, callers where the configuration
 * names any. `Sec-Fetch-Mode` says nothing here: the fetch of Node.js sends `cors` without being a browser.
 */
export class Guard {
  readonly #hosts: ReadonlySet<string>
  readonly #origins: ReadonlySet<string>
  readonly #callers: Callers | undefined
  readonly #placeholders: Placeholders
  /** The latest `Host` that was found to be served. */
  #served: string | undefined

  private constructor(parts: {
    hosts: ReadonlySet<string>
    origins: ReadonlySet<string>
    callers: Callers | undefined
    placeholders: Placeholders
  }) {
    this.#hosts = parts.hosts
    this.#origins = parts.origins
    this.#callers = parts.callers
    this.#placeholders = parts.placeholders
  }

  /**
   * @param names of the appliances
   * @throws Failure SECRET_UNREADABLE when a caller's secret cannot be read
   */
  static async open(
    configuration: GuardConfiguration,
    names: readonly string[],
    placeholders: Placeholders,
  ): Promise<Guard> {
    const { allowedHosts, allowedOrigins } = configuration
    const hosts = new Set([...LOOPBACK_HOSTS, ...names.map(name => `${name}.localhost`), ...allowedHosts])
    const callers = await Callers.open(configuration.callers, placeholders)
    return new Guard({ hosts, origins: new Set(allowedOrigins), callers, placeholders })
  }

  /** The guard of another configuration; who has signed in here need not do so again. Throws as `open`. */
  successor(configuration: GuardConfiguration, names: readonly string[]): Promise<Guard> {
    return Guard.open(configuration, names, this.#placeholders)
  }

  /** True when whoever calls has to prove who it is. */
  get knowsCallers(): boolean {
    return this.#callers !== undefined
  }

  /** True when answers differ by the origin of the page that calls. */
  get knowsOrigins(): boolean {
    return this.#origins.size > 0
  }

  /**
   * The origin of the page that calls, if it is another one that may.
   * @throws Failure BAD_REQUEST, HOST_UNKNOWN or ORIGIN_DENIED
   */
  checkSender(request: IncomingMessage): string | undefined {
    this.#checkHost(request)
    return this.#checkOrigin(request)
  }

  /** @throws Failure CALLER_UNKNOWN or TOO_MANY_FAILURES */
  async identify(request: IncomingMessage): Promise<Caller | undefined> {
    return this.#callers?.identify(request)
  }

  /**
   * Somebody who signs in as at an appliance, where the proxy answers in its place.
   * @throws Failure CALLER_UNKNOWN or TOO_MANY_FAILURES
   */
  async signIn(request: IncomingMessage, shown: Shown): Promise<SignedIn> {
    if (this.#callers !== undefined) return this.#callers.signIn(request, shown)
    return { caller: undefined, placeholders: this.#placeholders.pair() }
  }

  #checkHost({ headers, rawHeaders }: IncomingMessage): void {
    const { host } = headers
    if (host === undefined || host === '') throw new Failure('BAD_REQUEST', 'The request has no Host field.')
    let fields = 0
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] ?? ''
      if (name.length === 4 && name.toLowerCase() === 'host') fields += 1
    }
    if (fields > 1) throw new Failure('BAD_REQUEST', 'The request has more than one Host field.')
    // Nearly every request names the same one as the one before it.
    if (host === this.#served) return
    if (this.#hosts.has(hostName(host))) {
      this.#served = host
      return
    }
    throw new Failure('HOST_UNKNOWN', `Requests to the host name ${JSON.stringify(hostName(host))} are not served.`)
  }

  #checkOrigin({ headers, socket }: IncomingMessage): string | undefined {
    const { origin } = headers
    if (origin !== undefined) {
      const own = `${'encrypted' in socket ? 'https' : 'http'}://${headers.host}`
      if (origin === own) return undefined
      if (this.#origins.has(origin)) return origin
      throw new Failure('ORIGIN_DENIED', `Pages of the origin ${JSON.stringify(origin)} may not use the proxy.`)
    }
    const site = headers['sec-fetch-site']
    if (site !== 'cross-site' && site !== 'same-site') return undefined
    throw new Failure('ORIGIN_DENIED', 'A page of another site led here.')
  }
}

/** The host without its port, in lower case. */
function hostName(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase()
}
