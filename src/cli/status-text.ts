import Type from 'typebox'
import { Check } from 'typebox/value'
import { type Colour, type Paint, paintFor } from './colour.ts'
import type { Io } from './command.ts'
import { ApplianceStatus } from './proxy-request.ts'
import { type Cell, servedSentence, tableOf } from './table.ts'

const BAR = 16
/** Days before the end of a certificate from which on somebody should know. */
const SOON = 30

const Answer = Type.Object({ appliances: Type.Array(ApplianceStatus) })

/** None where the answer is not the one of /-/status. */
export function appliancesIn(answer: unknown): readonly ApplianceStatus[] {
  return Check(Answer, answer) ? answer.appliances : []
}

/** A table of the sessions and below it what is wrong: for a person on a terminal, and plain elsewhere. */
export function statusText(answer: unknown, io: Pick<Io, 'stdout' | 'env'>): string {
  const appliances = appliancesIn(answer)
  const table = io.stdout.isTTY === true ? terminalTable(appliances, paintFor(io)) : plainTable(appliances)
  const served = appliances.flatMap(({ name, servedAt = [] }) => servedSentence(name, servedAt) ?? [])
  return [table, ...served, ...appliances.flatMap(trustWarnings), ...errorsIn(answer)].join('\n\n')
}

/** What is wrong, in two lines for each appliance that something is wrong with. */
export function errorsIn(answer: unknown): string[] {
  return appliancesIn(answer).flatMap(errorOf)
}

function plainTable(appliances: readonly ApplianceStatus[]): string {
  const heading = ['appliance', 'product', 'state', 'grant', 'since', 'expires', 'renews']
  const rows = appliances.map(({ name, product, state, grant, since, expiresAt, renewsAt }) => {
    return [name, product, state, grant ?? '-', shortened(since), shortened(expiresAt), shortened(renewsAt)]
  })
  return tableOf([heading, ...rows])
}

/** Without fractions of a second. */
function shortened(time: string | null): string {
  return time === null ? '-' : time.replace(/\.\d+/, '')
}

function terminalTable(appliances: readonly ApplianceStatus[], paint: Paint): string {
  const bold = (text: string): Cell => ({ text, paint: padded => paint('bold', padded) })
  const heading = ['appliance', 'product', 'state', 'next attempt', '', 'expires'].map(bold)
  const now = Date.now()
  const rows = appliances.map((appliance): Cell[] => {
    const { name, product, state, expiresAt, renewsAt } = appliance
    const coloured = (text: string): Cell => ({ text, paint: padded => paint(colours[state] ?? 'gray', padded) })
    const spans = [spanUntil(renewsAt, now), spanUntil(expiresAt, now)]
    return [name, product, coloured(state), coloured(barOf(appliance, now)), ...spans]
  })
  return tableOf([heading, ...rows])
}

const colours: Readonly<Record<string, Colour>> = {
  live: 'green',
  renewing: 'cyan',
  'signing-in': 'cyan',
  waiting: 'yellow',
  'backing-off': 'yellow',
  refused: 'red',
  'signed-out': 'gray',
}

/** How much is left until the renewal of the time that there was. */
function barOf({ grantedAt, renewsAt }: ApplianceStatus, now: number): string {
  if (grantedAt === null || renewsAt === null) return ''
  const renews = Date.parse(renewsAt)
  const share = Math.min(1, Math.max(0, (renews - now) / (renews - Date.parse(grantedAt))))
  const full = Number.isNaN(share) ? 0 : Math.round(share * BAR)
  return '█'.repeat(full) + '░'.repeat(BAR - full)
}

function spanUntil(time: string | null, now: number): string {
  if (time === null) return '-'
  const seconds = Math.round((Date.parse(time) - now) / 1000)
  if (seconds <= 0) return 'now'
  if (seconds < 120) return `in ${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `in ${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `in ${hours} h` : `in ${Math.round(hours / 24)} days`
}

function trustWarnings({ name, trust, certificate }: ApplianceStatus): string[] {
  const blind = `${name}: its certificate is not verified (tls.verify is false), so whoever stands between can take the password`
  const warnings = trust === 'not verified' ? [blind] : []
  if (certificate === null || certificate.daysLeft > SOON) return warnings
  const { daysLeft, validTo } = certificate
  const when =
    daysLeft < 0 ? `has ended on ${shortened(validTo)}` : `ends in ${daysLeft} days, on ${shortened(validTo)}`
  return [...warnings, `${name}: its certificate ${when}.`]
}

/** What an appliance said goes to a terminal: nothing in it may steer that. */
function errorOf({ name, lastError }: ApplianceStatus): string[] {
  if (lastError === null) return []
  const { code, detail, remedy, times } = lastError
  const said = `${name}: ${code}${times > 1 ? ` (${times} times)` : ''}. ${detail}`.replaceAll(/\p{C}/gu, '?')
  return [`${said}\n${remedy.replace('NAME', name)}.`]
}
