import type { SessionStatus } from '../../session/session.ts'

/** How it goes, told by words and the shape of a sign; colours follow from it. */
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'off'

export type Verb = 'renew' | 'sign-in' | 'sign-out' | 'code'

export interface Shown {
  word: string
  tone: Tone
  /** What can be done now, the likeliest first. */
  verbs: readonly Verb[]
}

const states: Readonly<Record<SessionStatus['state'], Shown>> = {
  live: { word: 'Live', tone: 'good', verbs: ['renew', 'sign-out'] },
  renewing: { word: 'Renewing', tone: 'good', verbs: ['renew', 'sign-out'] },
  'signing-in': { word: 'Signing in', tone: 'busy', verbs: ['sign-out'] },
  waiting: { word: 'Waiting for a code', tone: 'warn', verbs: ['code', 'sign-out'] },
  refused: { word: 'Refused', tone: 'bad', verbs: ['sign-in'] },
  'backing-off': { word: 'Trying again', tone: 'bad', verbs: ['sign-in', 'sign-out'] },
  'signed-out': { word: 'Signed out', tone: 'off', verbs: ['sign-in'] },
}

/** A session that lives although its renewal fails is on its way to be lost. */
export function shown({ state, lastError }: SessionStatus): Shown {
  if (state === 'live' && lastError !== undefined) return { ...states.live, word: 'Live, not renewed', tone: 'warn' }
  return states[state]
}

/** For sorting: what needs somebody comes first. */
export const urgency: Readonly<Record<Tone, number>> = { bad: 0, warn: 1, busy: 2, off: 3, good: 4 }
