import bytes from 'bytes'
import ms from 'ms'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { defaultLimits, type Limits } from '../listen/limits.ts'
import { BYTES, bytesOf } from './bytes.ts'
import { duration, millisecondsOf } from './duration.ts'
import type { Findings } from './findings.ts'

const HOUR = 3_600_000

/** Least and most of what JSON Schema cannot compare: too little locks everybody out, too much limits nothing. */
const ranges = {
  head: [1_024, 1_048_576],
  url: [256, 1_048_576],
  headTimeout: [1_000, HOUR],
  bodyTimeout: [1_000, 24 * HOUR],
} as const

const standard = {
  head: sizeText(defaultLimits.head),
  url: sizeText(defaultLimits.url),
  headTimeout: ms(defaultLimits.headTimeout),
  bodyTimeout: ms(defaultLimits.bodyTimeout),
}

/** How much a caller may take up, as it stands in the configuration. */
export const LimitsEntry = Type.Object(
  {
    head: Type.Optional(size('Head', standard.head, 'Largest head of a request: its first line and all fields')),
    fields: Type.Optional(
      Type.Integer({
        minimum: 16,
        maximum: 65_535,
        default: defaultLimits.fields,
        title: 'Fields',
        description: 'Most fields of a request, from 16 to 65535',
      }),
    ),
    url: Type.Optional(size('URL', standard.url, 'Longest path and query together; not above head')),
    connections: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        default: defaultLimits.connections,
        title: 'Connections',
        description:
          'Most connections of callers at the same time, 1 or more for each listener; further ones are closed at once',
      }),
    ),
    headTimeout: Type.Optional(
      duration(
        'Head timeout',
        standard.headTimeout,
        'Longest time for a TLS handshake, and then for the head of a request',
      ),
    ),
    bodyTimeout: Type.Optional(
      duration('Body timeout', standard.bodyTimeout, 'Longest time that the body of a request may stand still'),
    ),
  },
  {
    additionalProperties: false,
    title: 'Limits',
    description: 'How much a caller may take up before anybody has looked at what it wants',
  },
)
type LimitsEntry = Type.Static<typeof LimitsEntry>

/** The limits of an entry, those that it does not name by default; what cannot be is in the findings. */
export function limitsOf(entry: unknown, findings: Findings): Limits {
  const given: LimitsEntry = Check(LimitsEntry, entry) ? entry : {}
  const head = bytesOf(given.head) ?? defaultLimits.head
  const limits = {
    head,
    fields: given.fields ?? defaultLimits.fields,
    // Who sets a small head alone means all that is in it.
    url: bytesOf(given.url) ?? Math.min(defaultLimits.url, head),
    connections: given.connections ?? defaultLimits.connections,
    headTimeout: millisecondsOf(given.headTimeout, standard.headTimeout),
    bodyTimeout: millisecondsOf(given.bodyTimeout, standard.bodyTimeout),
  }
  for (const key of ['head', 'url', 'headTimeout', 'bodyTimeout'] as const) {
    const [least, most] = ranges[key]
    const text = key.endsWith('Timeout') ? ms : sizeText
    if (given[key] === undefined || (limits[key] >= least && limits[key] <= most)) continue
    findings.add(['limits', key], 'this limit is out of range', `Give ${text(least)} to ${text(most)}`)
  }
  if (limits.url > head) {
    const remedy = `Raise head, which is ${sizeText(head)}, or lower url`
    findings.add(['limits', 'url'], 'url is a part of head, and larger than head may be', remedy)
  }
  return limits
}

function size(title: string, fallback: string, description: string) {
  return Type.String({
    pattern: BYTES,
    default: fallback,
    title,
    description: `${description}, such as ${fallback}`,
  })
}

function sizeText(value: number): string {
  return bytes.format(value) ?? `${value}B`
}
