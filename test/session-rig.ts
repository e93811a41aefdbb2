import type { WireAnswer, WireRequest } from '../src/dialects/index.ts'
import { products } from '../src/dialects/index.ts'
import { Failure } from '../src/errors.ts'
import { Redactor } from '../src/redactor.ts'
import type { Keep, Kept } from '../src/session/kept.ts'
import { LiveSession } from '../src/session/live.ts'
import { Session, type SessionEvent, type SessionParts } from '../src/session/session.ts'
import type { Credentials, SecretSource } from '../src/session/sign-in.ts'
import { FakeClock } from './fake-clock.ts'

export const SECOND = 1_000
export const MINUTE = 60_000
export const HOUR = 3_600_000
export const DAY = 86_400_000

/** A request of a session, as its appliance would read it. */
export interface Asked {
  /** In lower case; 'sign-out' for one that ends a session. */
  grant: string
  form: URLSearchParams
  authorization: string | undefined
  wall: number
  monotonic: number
}

export type Answer = WireAnswer | Promise<WireAnswer>
/** Answers the nth request for a grant, from 1. */
export type Answers = (asked: Asked, nth: number) => Answer

/** A secret that a test can change. */
export interface Changeable extends SecretSource {
  value: string
}

export function changeable(value: string): Changeable {
  return {
    value,
    async reveal() {
      return this.value
    },
  }
}

export type RigParts = Partial<Omit<SessionParts, 'clock' | 'send' | 'report'>> & {
  clock?: FakeClock
  answers?: Answers
  password?: Changeable
  totp?: SecretSource
}

/** A session of azure's dialect whose time and whose appliance a test holds in its hands. */
export function sessionRig({ clock = new FakeClock(), answers = granting, ...parts }: RigParts = {}) {
  const password = parts.password ?? changeable('correct horse')
  const totp = parts.totp === undefined ? {} : { totp: parts.totp }
  const credentials: Credentials = { type: 'password', username: 'admin', password, ...totp }
  const appliance = new ScriptedAppliance(clock, answers)
  const events: SessionEvent[] = []
  const jumps: number[] = []
  const session = new Session({
    dialect: azure(),
    credentials,
    origin: 'https://box.example',
    redactor: new Redactor(),
    onJump: () => jumps.push(clock.wall()),
    ...parts,
    clock,
    send: appliance.send,
    report: event => events.push(event),
  })
  /** Of the failures that were reported, in order. */
  const failures = () => events.flatMap(event => (event.type === 'failed' ? [event.failure.code] : []))
  return { clock, session, appliance, events, failures, jumps, password }
}

/** The same, signed in. */
export async function signedIn(parts: RigParts = {}) {
  const rig = sessionRig(parts)
  rig.session.start()
  await rig.clock.advance(0)
  return rig
}

function azure() {
  const product = products.find(({ name }) => name === 'azure')
  if (product === undefined) throw new Error('no azure')
  return product.dialect({})
}

/** The other end of `send`: counts what arrives, and says what the test has it say. */
export class ScriptedAppliance {
  answers: Answers
  /** Requests for a grant. */
  readonly asked: Asked[] = []
  readonly signOuts: Asked[] = []
  atOnce = 0
  mostAtOnce = 0
  readonly #clock: FakeClock

  constructor(clock: FakeClock, answers: Answers) {
    this.#clock = clock
    this.answers = answers
  }

  get grants(): string[] {
    return this.asked.map(({ grant }) => grant)
  }

  readonly send = async (request: WireRequest): Promise<WireAnswer> => {
    const form = new URLSearchParams(request.body)
    const grant = request.method === 'DELETE' ? 'sign-out' : (form.get('grant_type') ?? '').toLowerCase()
    const { authorization } = request.fields
    const asked = { grant, form, authorization, wall: this.#clock.wall(), monotonic: this.#clock.monotonic() }
    if (grant === 'sign-out') {
      this.signOuts.push(asked)
      return { status: 204, fields: {}, body: '' }
    }
    this.asked.push(asked)
    this.atOnce += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce)
    try {
      return await this.answers(asked, this.asked.length)
    } finally {
      this.atOnce -= 1
    }
  }
}

/** Tokens `access-NTH` and `refresh-NTH`, for so many seconds. */
export function granted(nth: number, seconds = 900): WireAnswer {
  return json(200, { access_token: `access-${nth}`, refresh_token: `refresh-${nth}`, expires_in: seconds })
}

export function grantedWithoutRefresh(nth: number, seconds = 900): WireAnswer {
  return json(200, { access_token: `access-${nth}`, expires_in: seconds })
}

/** Every grant is granted. */
export function granting(_: Asked, nth: number): WireAnswer {
  return granted(nth)
}

export function mfaWanted(nth: number): WireAnswer {
  return json(200, { mfa_token: `mfa-token-${nth}` })
}

export const refused = json(400, { error: 'invalid_grant' })

export function busy(fields: Record<string, string> = {}, status = 503): WireAnswer {
  return { status, fields, body: '' }
}

export function json(status: number, body: unknown): WireAnswer {
  return { status, fields: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** What `send` does when nothing comes back: it gives up, later. */
export function unanswered(clock: FakeClock, milliseconds = 15 * SECOND): Promise<WireAnswer> {
  return new Promise((_, reject) => {
    clock.timer(milliseconds, () => reject(new Failure('APPLIANCE_TIMEOUT', 'No answer came.')))
  })
}

/** An answer that takes its time. */
export function after(clock: FakeClock, milliseconds: number, answer: WireAnswer): Promise<WireAnswer> {
  return new Promise(resolve => {
    clock.timer(milliseconds, () => resolve(answer))
  })
}

/** A place that outlives a session. `saved` holds what was completely saved, as a file would. */
export class FakeKeep implements Keep {
  readonly saved: string[] = []
  /** Runs before a save completes. */
  delay: () => Promise<void> = () => Promise.resolve()

  constructor(value?: unknown) {
    if (value !== undefined) this.saved.push(JSON.stringify(value))
  }

  async load(): Promise<unknown> {
    const last = this.saved.at(-1)
    return last === undefined ? undefined : JSON.parse(last)
  }

  async save(value: Kept): Promise<void> {
    const text = JSON.stringify(value)
    await this.delay()
    this.saved.push(text)
  }
}

/** What came of it: the access token, 'done', or the code of the failure. */
export async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    const value = await work
    return value instanceof LiveSession ? value.accessToken : 'done'
  } catch (error) {
    if (error instanceof Failure) return error.code
    throw error
  }
}
