import { inspect } from 'node:util'
import type { Dialect, Grant, SignInAnswer, Tokens } from '../dialects/index.ts'
import { REDACTED } from '../redactor.ts'
import { type Clock, type Moment, momentIn, until } from './clock.ts'
import { SessionCookies } from './cookies.ts'
import type { KeptSession } from './kept.ts'

interface LiveParts {
  dialect: Dialect
  /** What the session began with; a refresh goes on with it. */
  grant: Grant['type']
  /** Epoch milliseconds of its beginning. */
  since: number
  tokens: Tokens
  answer?: SignInAnswer | undefined
  cookies: SessionCookies | undefined
  /** When the request that brought the tokens was sent. */
  sent: Moment
}

/** A session that requests can be sent with. Made once per grant, so that a request only reads it. */
export class LiveSession {
  readonly grant: Grant['type']
  readonly since: number
  readonly accessToken: string
  readonly refreshToken: string | undefined
  /** What the appliance answered to the sign-in, without its secrets; undefined when an older process kept none. */
  readonly answer: SignInAnswer | undefined
  /** Milliseconds that the access token lives, from `sent`. */
  readonly life: number
  readonly sent: Moment
  readonly expires: Moment
  /** Fields that replace whatever the caller sent under these names; names in lower case. */
  readonly fields: Readonly<Record<string, string>>
  /** Fields that the caller's own win over; names in lower case. */
  readonly defaults: Readonly<Record<string, string>>
  /** Names of fields that only the session may set, whether or not it has a value for them now; in lower case. */
  readonly owned: ReadonlySet<string>
  readonly cookies: SessionCookies | undefined
  readonly #echo: Dialect['echo']

  constructor({ dialect, grant, since, tokens, answer, cookies, sent }: LiveParts) {
    this.grant = grant
    this.since = since
    this.accessToken = tokens.accessToken
    this.refreshToken = tokens.refreshToken
    this.answer = answer
    this.life = tokens.life
    this.sent = sent
    this.expires = { wall: sent.wall + tokens.life, monotonic: sent.monotonic + tokens.life }
    this.fields = dialect.sessionFields(tokens.accessToken)
    this.defaults = dialect.defaultFields
    this.owned = new Set([...Object.keys(this.fields), ...dialect.echo.map(echo => echo.field.toLowerCase())])
    this.cookies = cookies
    this.#echo = dialect.echo
  }

  /**
   * What an earlier process kept. A time that lies in the future means that the clock was set back since: it counts as
   * now, so that no token is taken to live longer than its whole life.
   */
  static fromKept(kept: KeptSession, parts: { dialect: Dialect; origin: string; clock: Clock }): LiveSession {
    const { grant, since, accessToken, refreshToken, life, answer } = kept
    const age = Math.max(0, parts.clock.wall() - kept.sentAt)
    return new LiveSession({
      dialect: parts.dialect,
      grant,
      since,
      tokens: { accessToken, life, ...(refreshToken === undefined ? {} : { refreshToken }) },
      answer,
      cookies: kept.cookies === undefined ? undefined : SessionCookies.fromKept(parts.origin, kept.cookies),
      sent: momentIn(parts.clock, -age),
    })
  }

  toKept(): KeptSession {
    const { grant, since, accessToken, refreshToken, life, sent, cookies, answer } = this
    return {
      grant,
      since,
      accessToken,
      life,
      sentAt: sent.wall,
      ...(refreshToken === undefined ? {} : { refreshToken }),
      ...(cookies === undefined ? {} : { cookies: cookies.toKept() }),
      ...(answer === undefined ? {} : { answer }),
    }
  }

  /** Every value that must not be shown. */
  get secrets(): string[] {
    return [this.accessToken, this.refreshToken ?? '', ...(this.cookies?.values() ?? [])]
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }

  isLive(clock: Clock): boolean {
    return until(clock, this.expires) > 0
  }

  /** Adds the session's cookies for a request to `path`, and their echoes, to its fields. */
  addCookies(fields: Record<string, string | string[]>, path: string): void {
    const cookie = this.cookies?.field(path)
    if (this.cookies === undefined || cookie === undefined) return
    fields.cookie = cookie
    for (const echo of this.#echo) {
      const value = this.cookies.value(echo.cookie, path)
      if (value !== undefined) fields[echo.field.toLowerCase()] = value
    }
  }
}
