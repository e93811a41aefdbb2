import { CookieJar } from 'tough-cookie'

/** No appliance sets more (RFC 6265, section 6.1, wants 50 kept); what one without end would set is left out. */
const MOST = 64
const LONGEST = 4_096

/** The cookies of one session. Their names are the appliance's affair; tough-cookie keeps RFC 6265's rules. */
export class SessionCookies {
  readonly #origin: string
  readonly #jar: CookieJar
  /** The field for any path, where no cookie is for some only or expires: looking it up cost a tenth of forwarding. */
  #everywhere: { field: string | undefined } | undefined
  #onTake = () => {}

  /** @param origin of the appliance, without a trailing slash */
  constructor(origin: string, jar = new CookieJar(undefined, { rejectPublicSuffixes: false })) {
    this.#origin = origin
    this.#jar = jar
    this.#everywhere = this.#lookEverywhere()
  }

  /** Takes the `Set-Cookie` values of an answer to a request for `path`; what is malformed is left out. */
  take(values: string | readonly string[] | undefined, path: string): void {
    if (values === undefined || values.length === 0) return
    for (const value of typeof values === 'string' ? [values] : values) {
      if (value.length > LONGEST || this.#isFullFor(value)) continue
      this.#jar.setCookieSync(value, this.#origin + path, { ignoreError: true, loose: true })
    }
    this.#everywhere = this.#lookEverywhere()
    this.#onTake()
  }

  /** @param onTake told whenever there may be other values; takes the place of the one before */
  onTake(onTake: () => void): void {
    this.#onTake = onTake
  }

  /** The `Cookie` field for a request to `path`, undefined when no cookie belongs to it. */
  field(path: string): string | undefined {
    if (this.#everywhere !== undefined) return this.#everywhere.field
    return this.#jar.getCookieStringSync(this.#origin + path) || undefined
  }

  value(name: string, path: string): string | undefined {
    return this.#jar.getCookiesSync(this.#origin + path).find(cookie => cookie.key === name)?.value
  }

  /** Every cookie value now held. */
  values(): string[] {
    return this.#all().map(cookie => String(cookie.value ?? ''))
  }

  toKept(): unknown {
    return this.#jar.serializeSync()
  }

  /** @throws when the value is not what `toKept` gave */
  static fromKept(origin: string, kept: unknown): SessionCookies {
    return new SessionCookies(origin, CookieJar.deserializeSync(JSON.stringify(kept)))
  }

  copy(): SessionCookies {
    return new SessionCookies(this.#origin, this.#jar.cloneSync())
  }

  #lookEverywhere(): { field: string | undefined } | undefined {
    const alike = this.#all().every(
      ({ path, expires, maxAge }) => path === '/' && expires === undefined && maxAge == null,
    )
    return alike ? { field: this.#jar.getCookieStringSync(`${this.#origin}/`) || undefined } : undefined
  }

  #all() {
    return this.#jar.serializeSync()?.cookies ?? []
  }

  #isFullFor(value: string): boolean {
    const all = this.#all()
    return all.length >= MOST && !all.some(({ key }) => value.trimStart().startsWith(`${key}=`))
  }
}
