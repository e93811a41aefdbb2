import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault as Misbehaviour } from '../src/simulator/index.ts'
import { eventually } from './rig.ts'
import type { Site, Target } from './soak-site.ts'

/** Something that goes wrong at one appliance. */
export interface Fault {
  kind: string
  /** What a request may come to that is under way at the time; whatever else callers see is a defect. */
  may: RegExp
  /** Resolves when nothing is wrong any more; what follows from it may still last. */
  strike(target: Target, site: Site): Promise<void>
}

const NOTHING = /^\b$/
/** A token that the appliance does not take any more, where the body was streamed or a renewal has just been. */
const REJECTED = /^401$/
/** A renewal that comes late makes its requests late: tokens expire under way, or there is none for a while. */
const LATE = /^(401|503 NOT_SIGNED_IN)$/
const LOST = /^(broken|502 APPLIANCE_UNREACHABLE|401|503 NOT_SIGNED_IN)$/

function resources(answer: Misbehaviour['answer'], may: RegExp, milliseconds = 1500): Fault {
  return misbehaving('resources', answer, may, milliseconds)
}

function token(answer: Misbehaviour['answer']): Fault {
  return misbehaving('token', answer, LATE, 3000)
}

function misbehaving(
  where: 'resources' | 'token',
  answer: Misbehaviour['answer'],
  may: RegExp,
  milliseconds: number,
): Fault {
  return {
    kind: `${where} ${answer}`,
    may,
    async strike({ simulator }) {
      simulator.misbehave({ where, answer, ...(answer === 429 || answer === 503 ? { retryAfter: '1' } : {}) })
      await sleep(milliseconds)
      simulator.misbehave(undefined)
    },
  }
}

export const faults: readonly Fault[] = [
  { kind: 'connections cut', may: LOST, strike: async ({ relay }) => relay.cut() },
  { kind: 'connections reset', may: LOST, strike: async ({ relay }) => relay.reset() },
  {
    kind: 'connections stalled',
    may: LATE,
    async strike({ relay }) {
      relay.stall()
      await sleep(2000)
      relay.resume()
    },
  },
  {
    kind: 'network slow to answer',
    may: LATE,
    async strike({ relay }) {
      relay.delay(150)
      await sleep(3000)
      relay.delay(0)
    },
  },
  {
    kind: 'network throttled',
    may: LATE,
    async strike({ relay }) {
      relay.throttle(300_000)
      await sleep(3000)
      relay.throttle(undefined)
    },
  },
  {
    kind: 'byte corrupted',
    may: LOST,
    async strike({ relay }) {
      relay.at(40_000, 'down', 'corrupt')
      relay.reset()
      await eventually('a connection has carried so much', () => relay.pending() === 0, 30_000)
    },
  },
  {
    kind: 'port closed',
    may: LOST,
    async strike({ relay }) {
      relay.refuse()
      relay.reset()
      await sleep(2000)
      relay.accept()
    },
  },
  { kind: 'access tokens revoked', may: REJECTED, strike: async ({ simulator }) => simulator.revoke('access') },
  { kind: 'session revoked', may: REJECTED, strike: async ({ simulator }) => simulator.revoke('all') },
  { kind: 'refresh tokens dropped', may: NOTHING, strike: async ({ simulator }) => simulator.revoke('refresh') },
  {
    kind: 'clock of the appliance set forward',
    may: REJECTED,
    strike: async ({ simulator }) => simulator.shiftClock(60_000),
  },
  {
    kind: 'clock of the appliance set back',
    may: NOTHING,
    strike: async ({ simulator }) => simulator.shiftClock(-60_000),
  },
  {
    kind: 'certificate renewed',
    may: /^(502 CERTIFICATE_UNTRUSTED|401|503 NOT_SIGNED_IN)$/,
    async strike({ simulator }, site) {
      await simulator.rotateCertificate()
      await sleep(2000)
      await site.reload()
    },
  },
  { kind: 'configuration reloaded', may: NOTHING, strike: async (_, site) => site.reload() },
  token(429),
  token(503),
  token('garbage'),
  token('empty'),
  resources(429, /^429$/),
  resources(503, /^503$/),
  resources('garbage', /^wrong content$/),
  resources('empty', /^wrong content$/),
  resources('cut', /^(broken|502 APPLIANCE_UNREACHABLE)$/),
  resources('reset', /^(broken|502 APPLIANCE_UNREACHABLE)$/),
  resources('hang', /^504 APPLIANCE_TIMEOUT$/),
]
