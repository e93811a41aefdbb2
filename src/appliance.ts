import type { Logger } from 'pino'
import Type from 'typebox'
import { Check } from 'typebox/value'
import type { CacheConfiguration } from './config/cache.ts'
import type { ApplianceConfiguration, SignInMode } from './config/configuration.ts'
import type { Dialect, Product } from './dialects/index.ts'
import type { Redactor } from './redactor.ts'
import type { Clock } from './session/clock.ts'
import type { Keep, SignInMemory } from './session/kept.ts'
import { type Gate, Session, type SessionEvent } from './session/session.ts'
import { SessionLog } from './session-log.ts'
import { Admission } from './upstream/admission.ts'
import { UpstreamClient } from './upstream/client.ts'
import type { TrustedCertificate } from './upstream/trust.ts'

/** The form of `apiVersion` that says more than the version. */
const Forced = Type.Object({ value: Type.String() })

export interface ApplianceParts {
  log: Logger
  clock: Clock
  redactor: Redactor
  /** Runs sign-ins, so that many appliances do not all sign in at once. */
  gate?: Gate
  keep?: Keep
  /** As in `SessionParts`. */
  attempts?: SignInMemory
  onEvent?: (appliance: string, event: SessionEvent) => void
}

/** A configured appliance at run time: the way to it, and the session there. */
export class Appliance {
  readonly name: string
  readonly product: Product
  /** Without a trailing slash, the port left out where it is the scheme's own. */
  readonly origin: string
  readonly session: Session
  readonly clock: Clock
  /** Something to ask for in examples. */
  readonly sample: Dialect['sample']
  readonly #links: Dialect['links']
  #configuration: ApplianceConfiguration
  #client: UpstreamClient
  #certificate: TrustedCertificate | undefined
  #admission: Admission
  #cache: CacheConfiguration | undefined

  /** Sets one up. Nothing is sent before its session starts. */
  constructor(configuration: ApplianceConfiguration, parts: ApplianceParts) {
    const { name, product, url: origin, credentials } = configuration
    const { clock, redactor, gate, keep, attempts } = parts
    const log = new SessionLog(parts.log, name)
    this.name = name
    this.product = product
    this.origin = origin
    this.#configuration = configuration
    this.#client = this.#clientOf(configuration)
    this.#admission = new Admission(configuration.maxInFlight)
    this.#cache = ownCopy(configuration.cache)
    this.clock = clock
    const dialect = product.dialect(configuration.options)
    this.sample = dialect.sample
    this.#links = dialect.links
    this.session = new Session({
      dialect,
      credentials,
      origin,
      send: request => this.#client.send(request),
      clock,
      redactor,
      report(event) {
        log.tell(event)
        parts.onEvent?.(name, event)
      },
      onJump: () => this.#client.dropConnections(),
      ...(gate === undefined ? {} : { gate }),
      ...(keep === undefined ? {} : { keep }),
      ...(attempts === undefined ? {} : { attempts }),
    })
  }

  get client(): UpstreamClient {
    return this.#client
  }

  /** The one that the latest connection has shown; undefined before the first, and without TLS. */
  get certificate(): TrustedCertificate | undefined {
    return this.#certificate
  }

  /** Of the API: the one that the appliance named, or the configured one; undefined where the product has none. */
  get apiVersion(): string | undefined {
    const { apiVersion } = this.#configuration.options
    const configured = Check(Forced, apiVersion) ? apiVersion.value : apiVersion
    return this.session.version ?? (typeof configured === 'string' ? configured : undefined)
  }

  /** How its certificate is checked. */
  get trust(): 'verified' | 'own authority' | 'pinned' | 'not verified' | 'no TLS' {
    const { url, tls } = this.#configuration
    if (url.startsWith('http:')) return 'no TLS'
    if (tls.fingerprint !== undefined) return 'pinned'
    if (!tls.verify) return 'not verified'
    return tls.ca === undefined ? 'verified' : 'own authority'
  }

  /** Whether bodies hold links that do not lead here for a caller who came in under `mount`. */
  hasForeignLinks(mount: string): boolean {
    if (!this.#configuration.rewriteLinks) return false
    return this.#links === 'absolute' || (this.#links === 'rooted' && mount !== '')
  }

  /** What may be done there, by whomever. */
  get access(): ApplianceConfiguration['access'] {
    return this.#configuration.access
  }

  /** What becomes of callers' own sign-ins; undefined: what is right where they come in. */
  get signIn(): SignInMode | undefined {
    const { signIn, access } = this.#configuration
    return signIn ?? (access.credentials ? 'forward' : undefined)
  }

  /** Largest body of a request in bytes; undefined: any. */
  get maxBody(): number | undefined {
    return this.#configuration.maxBody
  }

  /** What of it is kept. Another object after each new configuration, and no other appliance's: answers hang on it. */
  get cache(): CacheConfiguration | undefined {
    return this.#cache
  }

  /** Requests under way at it. */
  get admission(): Admission {
    return this.#admission
  }

  /** Whether a configuration means the same session: then `reconfigure` can take it up, and nobody signs in anew. */
  hasSessionOf(configuration: ApplianceConfiguration): boolean {
    return this.#configuration.identity === configuration.identity
  }

  /** Takes up what has nothing to do with the session. Requests under way finish as they began. */
  reconfigure(configuration: ApplianceConfiguration): void {
    const old = this.#client
    // Another one would not know of the requests that are under way.
    if (configuration.maxInFlight !== this.#configuration.maxInFlight)
      this.#admission = new Admission(configuration.maxInFlight)
    this.#configuration = configuration
    this.#client = this.#clientOf(configuration)
    this.#cache = ownCopy(configuration.cache)
    old.close()
  }

  /** Ends the session at the appliance and lets go of its connections. */
  async retire(): Promise<void> {
    await this.session.signOut()
    await this.session.close()
    this.#client.close()
  }

  /** Cuts every connection; the session at the appliance stays. */
  async destroy(): Promise<void> {
    await this.session.close()
    await this.#client.destroy()
  }

  #clientOf({ url, tls, timeouts }: ApplianceConfiguration): UpstreamClient {
    const onCertificate = (certificate: TrustedCertificate) => {
      this.#certificate = certificate
    }
    return new UpstreamClient({ origin: url, trust: tls, timeouts, onCertificate })
  }
}

/** Another object for each appliance and each configuration: what is cached goes with it. */
function ownCopy(cache: CacheConfiguration | undefined): CacheConfiguration | undefined {
  return cache && { ...cache }
}
