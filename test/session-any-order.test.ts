import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { WireAnswer } from '../src/dialects/index.ts'
import { Failure } from '../src/errors.ts'
import { LiveSession } from '../src/session/live.ts'
import { FakeClock, settled } from './fake-clock.ts'
import {
  type Answer,
  type Asked,
  after,
  busy,
  changeable,
  DAY,
  FakeKeep,
  granted,
  grantedWithoutRefresh,
  HOUR,
  json,
  MINUTE,
  mfaWanted,
  refused,
  SECOND,
  sessionRig,
  unanswered,
} from './session-rig.ts'

// Longer than the rule allows: the story's steps, the world they act on and what must hold there read as one.

const rightCode = '111111'
const wrongCode = json(400, { error: 'invalid_grant', error_description: 'The code is wrong' })
const expiredToken = json(400, { error: 'invalid_grant', error_description: 'The MFA token has expired' })

/** How an appliance answers until it changes its mind; `life` in seconds. */
type Manner =
  | { type: 'grants' | 'grants without refresh'; life: number; after: number }
  | { type: 'wants a code'; accepts: 'right' | 'any' | 'none' | 'expired' }
  | { type: 'refuses' | 'refuses refresh tokens'; after: number }
  | { type: 'is busy'; retryAfter: number }
  | { type: 'fails' | 'speaks garbage' | 'is silent' | 'is gone' }

type Step =
  | { do: 'advance' | 'sleep' | 'set the clock'; by: number }
  | { do: 'request'; callers: number }
  | { do: 'report a 401'; token: 'current' | 'stale' }
  | { do: 'give a code'; code: string; times: number }
  | { do: 'change the secret'; value: string }
  | { do: 'sign in'; times: number }
  | { do: 'sign out' | 'look' }
  | { do: 'appliance'; manner: Manner }

const delay = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 14 * SECOND }))
const life = fc.oneof(fc.constantFrom(0, 1, 2, 60, 900, 3600, 1e10), fc.integer({ min: 1, max: 5000 }))
const plain = fc.oneof<fc.Arbitrary<Manner>[]>(
  fc.record({ type: fc.constantFrom('grants', 'grants without refresh'), life, after: delay }),
  fc.record({ type: fc.constant('wants a code'), accepts: fc.constantFrom('right', 'any', 'none', 'expired') }),
  fc.record({ type: fc.constantFrom('refuses', 'refuses refresh tokens'), after: delay }),
  fc.record({ type: fc.constant('is busy'), retryAfter: fc.integer({ min: 0, max: 30 }) }),
  fc.record({ type: fc.constantFrom('fails', 'speaks garbage', 'is silent', 'is gone') }),
)

const short = fc.integer({ min: 0, max: 5 * SECOND })
const minutes = fc.integer({ min: 0, max: 15 * MINUTE })
const times = fc.integer({ min: 1, max: 4 })
const step = fc.oneof<fc.WeightedArbitrary<Step>[]>(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('advance'), by: fc.oneof(short, minutes, fc.constant(HOUR)) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sleep'), by: fc.oneof(short, minutes, fc.nat(DAY)) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('set the clock'),
      by: fc.oneof(short, fc.integer({ min: -DAY, max: DAY })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('request'), callers: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('report a 401'), token: fc.constantFrom('current', 'stale') }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('give a code'),
      code: fc.constantFrom(rightCode, '000000', '000001'),
      times,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('change the secret'), value: fc.constantFrom('correct horse', 'battery') }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sign in'), times }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('look', 'look', 'sign out') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('appliance'), manner: plain }) },
)

const story = fc.record({
  seed: fc.nat(),
  totp: fc.boolean(),
  steps: fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }),
})

/** An appliance and a session, with what must hold between them watched at every request and every token. */
class World {
  readonly clock: FakeClock
  readonly rig
  readonly broken: string[] = []
  manner: Manner = { type: 'grants', life: 900, after: 0 }
  #atOnce = 0
  /** By access token: when it ends on each clock. */
  readonly #issued = new Map<string, { wall: number; monotonic: number }>()
  /** Monotonic time of each refusal, by password; codes under 'code'. */
  readonly #refusals = new Map<string, number[]>()

  constructor({ seed, totp }: { seed: number; totp: boolean }) {
    this.clock = new FakeClock(seed)
    this.rig = sessionRig({
      clock: this.clock,
      keep: new FakeKeep(),
      answers: (asked, nth) => this.#answer(asked, nth),
      ...(totp ? { totp: changeable('JBSWY3DPEHPK3PXP') } : {}),
    })
  }

  async take(step: Step): Promise<void> {
    const { clock } = this
    const { session, password } = this.rig
    switch (step.do) {
      case 'advance':
        return clock.advance(step.by)
      case 'sleep':
        return clock.sleep(step.by)
      case 'set the clock':
        return clock.set(step.by)
      case 'request':
        for (let caller = 0; caller < step.callers; caller++) this.#watch('a request', session.ready())
        break
      case 'report a 401':
        this.#watch('a 401', session.rejected(this.#token(step.token)))
        break
      case 'give a code':
        for (let time = 0; time < step.times; time++) {
          this.#watch('a code', session.giveCode(step.code))
          await settled()
        }
        break
      case 'change the secret':
        password.value = step.value
        session.secretChanged()
        break
      case 'sign in':
        for (let time = 0; time < step.times; time++) {
          this.#watch('a sign-in', session.attempt())
          await settled()
        }
        break
      case 'sign out':
        this.#watch('a sign-out', session.signOut())
        break
      case 'look':
        this.#handedOut('at a look', session.current())
        this.#timed()
        break
      case 'appliance':
        this.manner = step.manner
    }
    await settled()
  }

  #token(which: 'current' | 'stale'): string {
    return which === 'current' ? (this.rig.session.current()?.accessToken ?? 'none') : 'access-1'
  }

  #watch(what: string, work: Promise<unknown>): void {
    work.then(
      value => {
        if (value instanceof LiveSession) this.#handedOut(`to ${what}`, value)
      },
      (error: unknown) => {
        if (!(error instanceof Failure)) this.broken.push(`${what} threw ${error}`)
        else if (error.code === 'INTERNAL') this.broken.push(`${what} failed: ${error.message}`)
      },
    )
  }

  #handedOut(when: string, live: LiveSession | undefined): void {
    if (live === undefined) return
    const ends = this.#issued.get(live.accessToken)
    if (ends === undefined) this.broken.push(`a token that nobody issued, ${when}`)
    else if (this.clock.wall() >= ends.wall) this.broken.push(`a token expired on the wall clock, ${when}`)
    else if (this.clock.monotonic() >= ends.monotonic) this.broken.push(`a token expired on the other clock, ${when}`)
  }

  #timed(): void {
    const { state, renewsAt } = this.rig.session.status()
    if (renewsAt === undefined || state === 'renewing' || state === 'signing-in') return
    if (this.clock.nextTimer > 30 * SECOND) this.broken.push(`no timer for ${this.clock.nextTimer} ms while ${state}`)
  }

  async #answer(asked: Asked, nth: number): Promise<WireAnswer> {
    const secret = asked.grant === 'mfa' ? 'code' : (asked.form.get('Password') ?? asked.grant)
    const counted = asked.grant === 'mfa' || asked.grant === 'password'
    const refusals = this.#refusals.get(secret) ?? []
    const recent = refusals.filter(at => this.clock.monotonic() - at < HOUR).length
    if (counted && recent >= 2) this.broken.push(`the same ${asked.grant} went out though refused ${recent} times`)
    this.#atOnce += 1
    if (this.#atOnce > 1) this.broken.push('two grants at once')
    try {
      const answer = await this.#said(asked, nth)
      if (answer === refused || answer === wrongCode) this.#refusals.set(secret, [...refusals, this.clock.monotonic()])
      return answer
    } finally {
      this.#atOnce -= 1
    }
  }

  #said(asked: Asked, nth: number): Answer {
    const { clock, manner } = this
    switch (manner.type) {
      case 'grants':
        return after(clock, manner.after, this.#issue(asked, granted(nth, manner.life), manner.life))
      case 'grants without refresh':
        return after(clock, manner.after, this.#issue(asked, grantedWithoutRefresh(nth, manner.life), manner.life))
      case 'wants a code':
        return this.#mfa(asked, nth, manner.accepts)
      case 'refuses':
        return after(clock, manner.after, asked.grant === 'mfa' ? wrongCode : refused)
      case 'refuses refresh tokens':
        if (asked.grant !== 'refresh_token') return this.#issue(asked, granted(nth), 900)
        return after(clock, manner.after, refused)
      case 'is busy':
        return busy({ 'retry-after': String(manner.retryAfter) }, 429)
      case 'fails':
        return busy({}, 500)
      case 'speaks garbage':
        return { status: 200, fields: {}, body: '<html>' }
      case 'is silent':
        return unanswered(clock)
      case 'is gone':
        return Promise.reject(new Failure('APPLIANCE_UNREACHABLE', 'Nobody there.'))
    }
  }

  #mfa(asked: Asked, nth: number, accepts: string): WireAnswer {
    if (asked.grant === 'password') return mfaWanted(nth)
    if (asked.grant === 'refresh_token') return this.#issue(asked, granted(nth), 900)
    if (accepts === 'expired') return expiredToken
    const right = accepts === 'any' || (accepts === 'right' && asked.form.get('mfa_code') === rightCode)
    return right ? this.#issue(asked, granted(nth), 900) : wrongCode
  }

  /** An answer that states no life is taken for five minutes. */
  #issue(asked: Asked, answer: WireAnswer, seconds: number): WireAnswer {
    const life = (seconds || 300) * SECOND
    const token: unknown = Object(JSON.parse(answer.body)).access_token
    this.#issued.set(String(token), { wall: asked.wall + life, monotonic: asked.monotonic + life })
    return answer
  }
}

test('whatever happens in whatever order, the promises of a session hold', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(story, async ({ steps, ...start }) => {
      const world = new World(start)
      world.rig.session.start()
      for (const step of steps) {
        await world.take(step)
        assert.deepEqual(world.broken, [])
      }
      world.manner = { type: 'grants', life: 3600, after: 0 }
      await world.clock.advance(2 * MINUTE)
      const { state } = world.rig.session.status()
      assert.match(state, /^(live|waiting|refused|signed-out)$/)
      await world.take({ do: 'look' })
      assert.deepEqual(world.broken, [])
      assert.ok(Math.max(...world.clock.asked) <= 30 * SECOND)
    }),
    // The limit ends a search for the shortest failing story; it is far from what the runs take.
    { numRuns: 300, interruptAfterTimeLimit: 90_000 },
  )
})
