import { createHash } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import type { PathRule } from '../policy/path-rules.ts'
import { attempted, type Findings, type Path } from './findings.ts'
import { Obstacle } from './obstacle.ts'
import { ruleOf, ruleProperties } from './rule.ts'
import { readableSecret, type Secret, type SecretReference } from './secret.ts'
import { secretReference } from './secret-reference.ts'
import type { SourceContext } from './secret-source.ts'
import { fingerprintOf } from './trust.ts'

/** Somebody who may use the proxy, where not everybody may. */
export interface CallerConfiguration {
  name: string
  secret?: Secret
  /** SHA-256 of a client certificate, `AB:CD:…`. */
  certificate?: string
  /** Names of the appliances it may use; undefined: all. */
  appliances?: readonly string[]
  rule: PathRule
  /** The same for all who may do the same at the appliances; without it nobody is taken to. */
  rights?: string
  admin: boolean
}

const strict = { additionalProperties: false }

export const Caller = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
      title: 'Name',
      description:
        'Name of the caller, for the log and as user name of Basic: letters, digits, dot, hyphen, underscore',
    }),
    secret: Type.Optional(secretReference('Secret', 'What the caller proves itself with, 16 characters or more')),
    certificate: Type.Optional(
      Type.String({
        pattern: '^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$',
        title: 'Certificate',
        description: 'SHA-256 fingerprint of the client certificate that the caller shows, 64 hexadecimal digits',
      }),
    ),
    appliances: Type.Optional(
      Type.Array(Type.String(), { minItems: 1, title: 'Appliances', description: 'The only appliances it may use' }),
    ),
    ...ruleProperties,
    admin: Type.Optional(
      Type.Boolean({ default: false, title: 'Admin', description: 'May use the verbs of the proxy itself: POST /-/…' }),
    ),
  },
  { ...strict, title: 'Caller', description: 'Somebody who may use the proxy, with secret or certificate' },
)

const SHORTEST_SECRET = 16

interface Parts {
  entries: unknown
  names: readonly string[]
  findings: Findings
  context: SourceContext
}

/** The callers of a configuration; what is wrong with them is in the findings. */
export async function callersOf({ entries, names, findings, context }: Parts): Promise<CallerConfiguration[]> {
  if (!Array.isArray(entries)) return []
  const callers = await Promise.all(
    entries.map((entry, index) => callerOf(entry, ['callers', index], { findings, context, names })),
  )
  const seen = new Set<string>()
  for (const [index, caller] of callers.entries()) {
    if (caller === undefined) continue
    if (seen.has(caller.name)) findings.add(['callers', index, 'name'], 'another caller has this name', 'Rename one')
    seen.add(caller.name)
  }
  return callers.filter(caller => caller !== undefined)
}

async function callerOf(
  entry: unknown,
  path: Path,
  { findings, context, names }: Omit<Parts, 'entries'>,
): Promise<CallerConfiguration | undefined> {
  if (!Check(Caller, entry)) return undefined
  if (entry.secret === undefined && entry.certificate === undefined) {
    findings.add(
      path,
      'this caller has neither secret nor certificate',
      'Add a secret: { env: NAME } or { file: PATH }',
    )
    return undefined
  }
  for (const [index, name] of (entry.appliances ?? []).entries()) {
    if (names.includes(name)) continue
    findings.add([...path, 'appliances', index], 'there is no appliance of this name', `Use one of ${names.join(', ')}`)
  }
  const { secret: reference, certificate: shown } = entry
  const attempt = <T>(key: string, make: () => T | Promise<T>) => attempted(findings, [...path, key], make)
  const secret = reference === undefined ? undefined : await attempt('secret', () => longSecret(reference, context))
  const certificate = shown === undefined ? undefined : await attempt('certificate', () => fingerprintOf(shown))
  const rule = await ruleOf(entry, path, findings)
  return {
    name: entry.name,
    rule,
    rights: rightsOf(entry),
    admin: entry.admin ?? false,
    ...(secret === undefined ? {} : { secret }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(entry.appliances === undefined ? {} : { appliances: entry.appliances }),
  }
}

function rightsOf({ readOnly = false, methods, paths, appliances }: Static<typeof Caller>): string {
  const sorted = [methods, paths, appliances].map(list => list?.toSorted() ?? null)
  return createHash('sha256')
    .update(JSON.stringify([readOnly, ...sorted]))
    .digest('base64url')
}

async function longSecret(reference: SecretReference, context: SourceContext): Promise<Secret> {
  const secret = await readableSecret(reference, context)
  if ((await secret.reveal()).length >= SHORTEST_SECRET) return secret
  throw new Obstacle(
    `the secret is shorter than ${SHORTEST_SECRET} characters`,
    'Make a longer one, such as: openssl rand -base64 24',
  )
}
