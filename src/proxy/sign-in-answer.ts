import type { LiveSession } from '../session/live.ts'
import { type PlaceholderPair, TOLD_LIFE } from './placeholder.ts'

type SignInAnswer = NonNullable<LiveSession['answer']>

/**
 * The appliance's own answer to a sign-in, made to fit a caller: placeholders for tokens, a life that is ours, and times
 * of now in the form that they had. The form counts: some clients read only times with a zone, others only without.
 */
export function signInAnswer(known: SignInAnswer, { access, refresh, issuedAt }: PlaceholderPair): object {
  const times = { '.issued': issuedAt, '.expires': issuedAt + TOLD_LIFE * 1_000 }
  const written = Object.entries(times).flatMap(([name, time]) => {
    const model = known[name]
    return typeof model === 'string' ? [[name, timeLike(model, time)] as const] : []
  })
  return {
    ...known,
    access_token: access,
    token_type: known.token_type ?? 'bearer',
    refresh_token: refresh,
    expires_in: TOLD_LIFE,
    ...Object.fromEntries(written),
    ...('mfa_enabled' in known ? { mfa_enabled: false } : {}),
  }
}

const ISO = /^\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?$/i
const HTTP_DATE = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/

/** A time written like another one: with its fraction and its zone, or without. One without a zone is universal time. */
export function timeLike(model: string, time: number): string {
  if (HTTP_DATE.test(model)) return new Date(time).toUTCString()
  const found = ISO.exec(model)
  if (found === null) return new Date(time).toISOString()
  const [, between = 'T', fraction = '', zone = ''] = found
  const local = new Date(time + offsetOf(zone)).toISOString()
  const digits = local.slice(20, 23).padEnd(fraction.length, '0').slice(0, fraction.length)
  return local.slice(0, 10) + between + local.slice(11, 19) + (digits === '' ? '' : `.${digits}`) + zone
}

/** Milliseconds ahead of universal time. */
function offsetOf(zone: string): number {
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d\d):?(\d\d)$/.exec(zone) ?? []
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}
