import type { Dialect, Grant, SignInAnswer } from '../dialects/index.ts'
import { Failure, type FailureCode, failures, messageOf } from '../errors.ts'
import type { Holding, Redactor } from '../redactor.ts'
import { type Clock, type Moment, momentIn, until } from './clock.ts'
import { SessionCookies } from './cookies.ts'
import { Exchange, type Send, withCookies } from './exchange.ts'
import { attemptsIn, type Keep, type KeptSession, parseKept, type SignInMemory } from './kept.ts'
import { LiveSession } from './live.ts'
import { backoffDelay, renewalDelay, SHORTEST_DELAY, TICK } from './schedule.ts'
import { type Credentials, type Granted, SignIn } from './sign-in.ts'

// Longer than the rule allows: the states of one session and every way between them are read best on one page.

/** The wall clock running this far ahead of or behind the monotonic one means that somebody set it, or slept. */
const JUMP = 5_000
/** An appliance that rejects fresh tokens must not be asked for ever more of them. */
const FORCED_INTERVAL = 10_000
const SECOND = 1_000
/** When a caller may ask again where a person has to do something first, in milliseconds. */
const A_PERSON = 60_000
/** Cookies that an appliance sets with every answer are kept once in this time, not once for each. */
const COOKIE_PAUSE = 1_000
/** How long a request may wait for a sign-in that is under way. */
const LONGEST_WAIT = 30_000

export const SESSION_STATES = [
  'signed-out',
  'signing-in',
  'live',
  'renewing',
  'waiting',
  'refused',
  'backing-off',
] as const
export type SessionState = (typeof SESSION_STATES)[number]

/** What happened to a session; for the log, the metrics and the audit. Holds no secret. */
export type SessionEvent =
  /** `apiVersion`: the one that the appliance named, where it refused ours. */
  | { type: 'granted'; grant: Grant['type']; renewal: boolean; life: number; renewsAt: number; apiVersion?: string }
  | { type: 'restored'; life: number }
  | { type: 'failed'; grant: Grant['type']; failure: Failure; retryIn: number | undefined; repeated: number }
  | { type: 'rejected' }
  | { type: 'clock-jumped'; by: number }
  | { type: 'not-kept'; reason: string }
  | { type: 'signed-out' }

/** Times are epoch milliseconds. */
export interface SessionStatus {
  state: SessionState
  grant: Grant['type'] | undefined
  since: number
  /** When the tokens in use were asked for. */
  grantedAt: number | undefined
  expiresAt: number | undefined
  renewsAt: number | undefined
  lastError: { code: FailureCode; detail: string; remedy: string; at: number; times: number } | undefined
}

export interface SessionParts {
  dialect: Dialect
  credentials: Credentials
  /** Of the appliance, without a trailing slash. */
  origin: string
  send: Send
  clock: Clock
  redactor: Redactor
  report: (event: SessionEvent) => void
  /** Runs a sign-in when its turn has come, where many appliances share a process. */
  gate?: Gate
  /** Keeps the session beyond this process. */
  keep?: Keep
  /** `attempts` of the session that this one replaces at the same appliance. */
  attempts?: SignInMemory
  /** The clock jumped: whatever was connected is probably gone. */
  onJump?: () => void
}

/** @param lane `again` where the last attempt failed: the next one may take just as long */
export type Gate = <T>(work: () => Promise<T>, lane: 'first' | 'again') => Promise<T>

/** Why no attempt is made until somebody does something. */
type Block = 'waiting' | 'refused' | 'signed-out'

/** One appliance's session: everything about time is here, and nothing about the requests that use it. */
export class Session {
  readonly #parts: SessionParts
  readonly #exchange: Exchange
  readonly #signIn: SignIn
  readonly #holding: Holding
  #held: LiveSession | undefined
  #answer: SignInAnswer | undefined
  #block: Block | undefined
  /** The one attempt under way, whoever waits for it. */
  #work: Promise<void> | undefined
  /** When the next attempt is due; undefined when only a person or a configuration brings one. */
  #due: Moment | undefined
  #lastError: { failure: Failure; at: number; times: number } | undefined
  #failuresInRow = 0
  /** Since when there is no session, where there is none. */
  #absentSince: number
  /** On the monotonic clock: until then no rejected token forces a renewal. */
  #forcedUntil = Number.NEGATIVE_INFINITY
  /** Not to be sent again. */
  #refusedRefreshToken: string | undefined
  /** The access token that last met a 401. */
  #rejectedToken: string | undefined
  #leaving = false
  /** Wall minus monotonic clock when last looked at. */
  #drift: number
  #cancelTimer: (() => void) | undefined
  /** Cancels the keeping of cookies that were set since the session was last kept; undefined when there are none. */
  #cancelKeeping: (() => void) | undefined
  #closed = false

  constructor(parts: SessionParts) {
    this.#parts = parts
    const { dialect, clock, origin, credentials } = parts
    const newCookies = () => (dialect.keepsCookies ? new SessionCookies(origin) : undefined)
    this.#exchange = new Exchange(parts)
    this.#holding = parts.redactor.holding()
    this.#signIn = new SignIn({ credentials, exchange: this.#exchange, clock, newCookies })
    this.#absentSince = clock.wall()
    this.#drift = clock.wall() - clock.monotonic()
  }

  /**
   * What requests are sent with now: undefined when there is none or it has expired on either clock. A clock that
   * jumped is noticed here too, before a request meets connections that did not survive the sleep.
   */
  current(): LiveSession | undefined {
    if (this.#jumped() && this.#due !== undefined && !this.#closed) void this.attempt().catch(recorded)
    return this.#held?.isLive(this.#parts.clock) ? this.#held : undefined
  }

  /** What the appliance answered to the last sign-in, without its secrets; also when that session is over. */
  get answer(): SignInAnswer | undefined {
    return this.#answer
  }

  /** The version of its API that the appliance named, if it ever refused the configured one. */
  get version(): string | undefined {
    return this.#exchange.version
  }

  /** What a session that replaces this one must not repeat. */
  get attempts(): SignInMemory {
    return attemptsIn(this.#signIn.memory)
  }

  /** Takes up the session that was kept, or begins to sign in; and stays signed in. */
  start(): void {
    void this.#run(async () => ((await this.#restore()) ? undefined : this.#next())).catch(recorded)
  }

  /**
   * The current session, or the one that a sign-in under way brings.
   * @throws Failure that tells the caller why there is none, with `retryAfter` where waiting helps
   */
  async ready(): Promise<LiveSession> {
    const live = this.current()
    if (live !== undefined) return live
    const stopped = this.#block !== undefined && (this.#work === undefined || this.#block === 'signed-out')
    if (stopped || this.#closed) throw this.#absence()
    if (this.#work === undefined && this.#backingOff()) throw this.#absence()
    await this.#atMost(LONGEST_WAIT, this.attempt().catch(recorded))
    const brought = this.current()
    if (brought === undefined) throw this.#absence()
    return brought
  }

  /**
   * Says that the appliance answered 401 to a token. One renewal serves any number of callers, and there is at most
   * one in ten seconds. Resolves to the session to try again with, or undefined when there is no better one.
   */
  async rejected(accessToken: string): Promise<LiveSession | undefined> {
    const live = this.current()
    if (live !== undefined && live.accessToken !== accessToken) return live
    if (this.#work === undefined) {
      const { clock, report } = this.#parts
      if (this.#closed || this.#block !== undefined) return undefined
      if (clock.monotonic() < this.#forcedUntil || this.#backingOff()) return undefined
      this.#forcedUntil = clock.monotonic() + FORCED_INTERVAL
      this.#rejectedToken = accessToken
      report({ type: 'rejected' })
    }
    await this.#atMost(LONGEST_WAIT, this.attempt().catch(recorded))
    const renewed = this.current()
    return renewed?.accessToken === accessToken ? undefined : renewed
  }

  /**
   * One attempt at a session, renewing when there is one; joins the attempt under way. Also a person's word to try
   * again where the session had stopped.
   * @throws Failure of the attempt, which has then been reported
   */
  attempt(): Promise<void> {
    return this.#run(() => this.#next())
  }

  /**
   * Completes a sign-in that waits for a person.
   * @throws Failure CODE_UNWANTED, CODE_REFUSED, TOO_MANY_REFUSALS, or why the sign-in failed otherwise
   */
  async giveCode(code: string): Promise<void> {
    // Of several who wait for the same attempt, the first begins another, which is not about the others' codes.
    while (this.#work !== undefined) await this.#work.catch(recorded)
    if (this.#block !== 'waiting') throw new Failure('CODE_UNWANTED', `The session is ${this.status().state}.`)
    return this.#run(() => this.#signIn.withCode(code))
  }

  /** Some secret was changed, here or elsewhere: tries this one where another had been refused. */
  secretChanged(): void {
    // An attempt under way may have read the old one.
    if (this.#work !== undefined) return void this.#work.catch(recorded).then(() => this.secretChanged())
    const { credentials } = this.#parts
    const comesBySecret = credentials.type === 'authorization_code' || credentials.totp !== undefined
    if (this.#block === 'waiting' && comesBySecret) void this.attempt().catch(recorded)
    if (this.#block === 'refused') void this.#run(() => this.#nextUnlessRefused()).catch(recorded)
  }

  /** Ends the session here and at the appliance, as far as it can be reached. The session stays signed out. */
  async signOut(): Promise<void> {
    this.#block = 'signed-out'
    this.#leaving = true
    await this.#work?.catch(recorded)
    this.#leaving = false
    this.#disarm()
    const { send, clock, report } = this.#parts
    const { dialect } = this.#exchange
    const held = this.#held
    this.#held = undefined
    this.#due = undefined
    this.#block = 'signed-out'
    this.#absentSince = clock.wall()
    await this.#keep()
    if (held?.isLive(clock)) {
      await send(withCookies(dialect.signOut(held.accessToken), dialect, held.cookies)).catch(recorded)
      report({ type: 'signed-out' })
    }
    this.#letGo()
  }

  /** Stops for good, keeping whatever session there is at the appliance. */
  async close(): Promise<void> {
    this.#closed = true
    this.#signIn.stop()
    this.#disarm()
    await this.#work?.catch(recorded)
    if (this.#cancelKeeping !== undefined) await this.#keep()
    this.#letGo()
  }

  status(): SessionStatus {
    const { clock } = this.#parts
    const live = this.current()
    const error = this.#lastError
    return {
      state: this.#state(live),
      grant: live?.grant,
      since: live?.since ?? this.#absentSince,
      grantedAt: live?.sent.wall,
      expiresAt: live?.expires.wall,
      renewsAt: this.#due && momentOnWall(clock, this.#due),
      lastError: error && {
        code: error.failure.code,
        detail: error.failure.message,
        remedy: failures[error.failure.code].remedy,
        at: error.at,
        times: error.times,
      },
    }
  }

  #state(live: LiveSession | undefined): SessionState {
    if (this.#work !== undefined) return live === undefined ? 'signing-in' : 'renewing'
    if (live !== undefined) return 'live'
    return this.#block ?? (this.#due === undefined ? 'signed-out' : 'backing-off')
  }

  #run(work: () => Promise<Granted | undefined>): Promise<void> {
    if (this.#work !== undefined) return this.#work
    if (this.#closed) return Promise.reject(new Failure('SHUTTING_DOWN', 'The session is closed.'))
    this.#disarm()
    this.#jumped()
    const gate: Gate = this.#parts.gate ?? (task => task())
    this.#work = gate(
      async () => {
        if (this.#closed || this.#leaving) throw new Failure('SHUTTING_DOWN', 'The session ended before its turn came.')
        this.#exchange.lastGrant = undefined
        return work()
      },
      this.#failuresInRow === 0 ? 'first' : 'again',
    )
      .then(granted => (granted === undefined ? undefined : this.#hold(granted)))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#work = undefined
        this.#arm()
      })
    return this.#work
  }

  async #next(): Promise<Granted> {
    const held = this.#held
    if (held?.refreshToken !== undefined && held.refreshToken !== this.#refusedRefreshToken) {
      const renewed = await this.#refresh({ refreshToken: held.refreshToken, cookies: held.cookies })
      if (renewed !== undefined) return renewed
    }
    return this.#signIn.fromCredentials()
  }

  /** What was changed may have been another appliance's: the password that was refused is not sent again for that. */
  async #nextUnlessRefused(): Promise<Granted> {
    const failure = this.#lastError?.failure
    if (failure?.code === 'SIGN_IN_REFUSED' && (await this.#signIn.wouldRepeat())) throw failure
    return this.#next()
  }

  /** A refresh token that the appliance refuses is given up, and the credentials get their turn. */
  async #refresh(from: { refreshToken: string; cookies: SessionCookies | undefined }): Promise<Granted | undefined> {
    try {
      return await this.#signIn.refresh(from)
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'SIGN_IN_REFUSED') throw error
      this.#refusedRefreshToken = from.refreshToken
      this.#record(error, 'refresh_token', undefined)
      this.#exchange.lastGrant = undefined
      return undefined
    }
  }

  async #hold({ grant, tokens, answer, cookies, sent }: Granted): Promise<void> {
    const { clock, report } = this.#parts
    const before = this.#held
    const goesOn = grant === 'refresh_token' ? before : undefined
    const refreshToken = tokens.refreshToken ?? goesOn?.refreshToken
    const live = new LiveSession({
      dialect: this.#exchange.dialect,
      grant: goesOn?.grant ?? grant,
      since: goesOn?.since ?? clock.wall(),
      tokens: { ...tokens, ...(refreshToken === undefined ? {} : { refreshToken }) },
      // What a renewal leaves unsaid still holds.
      answer: { ...goesOn?.answer, ...answer },
      cookies,
      sent,
    })
    this.#take(live)
    this.#refusedRefreshToken = undefined
    this.#block = undefined
    this.#lastError = undefined
    this.#failuresInRow = 0
    const renewsAt = this.#planRenewal(live)
    const { version } = this.#exchange
    const named = version === undefined ? {} : { apiVersion: version }
    report({ type: 'granted', grant, renewal: before !== undefined, life: tokens.life, renewsAt, ...named })
    // Still within the attempt: the new refresh token is on disk before it can be used.
    await this.#keep()
  }

  #take(live: LiveSession): void {
    this.#held = live
    this.#answer = live.answer
    this.#holding.hold(live.secrets)
    this.#exchange.handOver()
    live.cookies?.onTake(() => {
      if (this.#held !== live) return
      this.#holding.hold(live.secrets)
      this.#keepSoon()
    })
  }

  /** An answer has set cookies: without them the next process could neither use the session nor renew it. */
  #keepSoon(): void {
    const { keep, clock } = this.#parts
    if (keep === undefined || this.#closed || this.#cancelKeeping !== undefined) return
    this.#cancelKeeping = clock.timer(COOKIE_PAUSE, () => void this.#keep())
  }

  /** Of every secret, unless a sign-in has begun in the meantime. */
  #letGo(): void {
    if (this.#work !== undefined || (this.#held !== undefined && !this.#closed)) return
    this.#holding.hold([])
    this.#exchange.forget()
  }

  /** @returns epoch milliseconds */
  #planRenewal({ sent, life }: LiveSession): number {
    const delay = Math.max(SHORTEST_DELAY, renewalDelay(life, this.#parts.clock.random()))
    this.#due = { wall: sent.wall + delay, monotonic: sent.monotonic + delay }
    return this.#due.wall
  }

  async #fail(error: unknown): Promise<never> {
    // Nothing was asked, so nothing is new.
    if (error === this.#lastError?.failure) throw error
    const { clock } = this.#parts
    const failure = error instanceof Failure ? error : new Failure('INTERNAL', messageOf(error), { cause: error })
    if (failure.code === 'SHUTTING_DOWN') throw failure
    this.#due = undefined
    this.#block = blockOf(failure.code)
    let retryIn: number | undefined
    if (this.#block === undefined) {
      this.#failuresInRow += 1
      retryIn = backoffDelay(this.#failuresInRow, clock.random(), failure.retryAfter)
      this.#due = momentIn(clock, retryIn)
    }
    this.#record(failure, this.#exchange.lastGrant ?? this.#signIn.firstGrant, retryIn)
    if (this.#block !== undefined && this.#held?.accessToken === this.#rejectedToken) this.#drop()
    await this.#keep()
    throw failure
  }

  /** The appliance wants neither the token nor what could replace it: callers are better told why. */
  #drop(): void {
    if (this.#held !== undefined) this.#absentSince = this.#parts.clock.wall()
    this.#held = undefined
  }

  #record(failure: Failure, grant: Grant['type'], retryIn: number | undefined): void {
    const { clock, report } = this.#parts
    const times = this.#lastError?.failure.code === failure.code ? this.#lastError.times + 1 : 1
    this.#lastError = { failure, at: clock.wall(), times }
    report({ type: 'failed', grant, failure, retryIn, repeated: times })
  }

  /** @returns whether what was kept serves now; if not, its refresh token may still be tried */
  async #restore(): Promise<boolean> {
    const { keep, clock, report, attempts } = this.#parts
    if (attempts !== undefined) this.#signIn.remember(attempts)
    const kept = parseKept(await keep?.load().catch(recorded))
    if (kept === undefined || this.#held !== undefined) return false
    if (attempts === undefined) this.#signIn.remember(kept.memory)
    const live = kept.session && liveOf(kept.session, { ...this.#parts, dialect: this.#exchange.dialect })
    if (live === undefined) return false
    this.#take(live)
    if (!live.isLive(clock)) return false
    this.#planRenewal(live)
    report({ type: 'restored', life: until(clock, live.expires) })
    return true
  }

  /** A session that cannot be kept serves all the same. */
  async #keep(): Promise<void> {
    this.#cancelKeeping?.()
    this.#cancelKeeping = undefined
    const session = this.#held === undefined ? {} : { session: this.#held.toKept() }
    try {
      await this.#parts.keep?.save({ version: 1, memory: this.#signIn.memory, ...session })
    } catch (error) {
      this.#parts.report({ type: 'not-kept', reason: messageOf(error) })
    }
  }

  /** What a caller is told who finds no session. */
  #absence(): Failure {
    const failure = this.#lastError?.failure
    if (this.#closed) return new Failure('SHUTTING_DOWN', 'The session is closed.')
    if (this.#block === 'waiting')
      return new Failure('CODE_WANTED', failure?.message ?? 'A code is wanted.', { retryAfter: A_PERSON })
    if (this.#block === 'signed-out') {
      return new Failure('NOT_SIGNED_IN', 'It was signed out on purpose; veeam-auth-proxy sign-in NAME signs it in.', {
        retryAfter: A_PERSON,
      })
    }
    const wait = this.#due === undefined ? undefined : Math.max(0, until(this.#parts.clock, this.#due))
    if (failure === undefined)
      return new Failure('NOT_SIGNED_IN', 'The first sign-in is under way.', { retryAfter: 1000 })
    if (!transient.has(failure.code)) {
      const { code, message, extensions } = failure
      return new Failure(code, message, { retryAfter: wait, cause: failure, extensions })
    }
    const extensions = { reason: failure.code }
    return new Failure('NOT_SIGNED_IN', failure.message, { retryAfter: wait, cause: failure, extensions })
  }

  #arm(): void {
    this.#disarm()
    if (this.#closed || this.#due === undefined) return
    const wait = Math.min(TICK, Math.max(0, until(this.#parts.clock, this.#due)))
    this.#cancelTimer = this.#parts.clock.timer(wait, () => this.#tick())
  }

  #disarm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  #backingOff(): boolean {
    return this.#failuresInRow > 0 && this.#due !== undefined && until(this.#parts.clock, this.#due) > 0
  }

  #tick(): void {
    const { clock } = this.#parts
    const jumped = this.#jumped()
    this.#drift = clock.wall() - clock.monotonic()
    if (jumped || this.#due === undefined || until(clock, this.#due) <= 0) void this.attempt().catch(recorded)
    else this.#arm()
  }

  #jumped(): boolean {
    const { clock, onJump, report } = this.#parts
    const drift = clock.wall() - clock.monotonic()
    const by = drift - this.#drift
    if (Math.abs(by) <= JUMP) return false
    this.#drift = drift
    report({ type: 'clock-jumped', by })
    onJump?.()
    return true
  }

  #atMost(milliseconds: number, work: Promise<void>): Promise<void> {
    return new Promise(resolve => {
      const cancel = this.#parts.clock.timer(milliseconds, resolve)
      void work.then(resolve).finally(cancel)
    })
  }
}

/** When a moment comes, in epoch milliseconds; the same however often it is asked, unless one clock runs ahead. */
function momentOnWall(clock: Clock, moment: Moment): number {
  const reckoned = clock.wall() + until(clock, moment)
  return Math.round(moment.wall - reckoned < SECOND ? moment.wall : reckoned)
}

function liveOf(session: KeptSession, parts: SessionParts): LiveSession | undefined {
  try {
    return LiveSession.fromKept(session, parts)
  } catch {
    return undefined
  }
}

/** Failures that time may mend by itself; a caller is told of the missing session rather than of them. */
const transient = new Set<FailureCode>([
  'APPLIANCE_UNREACHABLE',
  'APPLIANCE_BUSY',
  'APPLIANCE_TIMEOUT',
  'ANSWER_BROKEN',
])

function blockOf(code: FailureCode): Block | undefined {
  if (code === 'CODE_WANTED' || code === 'CODE_REFUSED' || code === 'TOO_MANY_REFUSALS') return 'waiting'
  if (code === 'SIGN_IN_REFUSED' || code === 'VERSION_REFUSED') return 'refused'
  return undefined
}

/** Rejections of shared work are recorded and reported where they arise. */
function recorded(): void {}
