import Type from 'typebox'
import { Check } from 'typebox/value'

/** Where a session outlives the process. What it is given back is checked: a file can be anything. */
export interface Keep {
  /** undefined when there is nothing, or nothing that could be read. */
  load(): Promise<unknown>
  /** Resolves once the value would survive a power failure. */
  save(value: Kept): Promise<void>
}

const Refused = Type.Array(Type.Object({ at: Type.Number(), secret: Type.String() }))

const Kept = Type.Object({
  version: Type.Literal(1),
  /** What a sign-in must not forget: see `SignInMemory`. */
  memory: Type.Object({
    refusedSecrets: Refused,
    refusedCodes: Refused,
    spentCode: Type.Optional(Type.String()),
    lastStep: Type.Number(),
    /** Of the API, as the appliance named it. */
    apiVersion: Type.Optional(Type.String()),
  }),
  session: Type.Optional(
    Type.Object({
      grant: Type.Union([
        Type.Literal('password'),
        Type.Literal('mfa'),
        Type.Literal('authorization_code'),
        Type.Literal('refresh_token'),
      ]),
      since: Type.Number(),
      accessToken: Type.String({ minLength: 1 }),
      refreshToken: Type.Optional(Type.String({ minLength: 1 })),
      /** Milliseconds. */
      life: Type.Number(),
      /** Epoch milliseconds. */
      sentAt: Type.Number(),
      cookies: Type.Optional(Type.Unknown()),
      /** See `SignInAnswer`. */
      answer: Type.Optional(
        Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])),
      ),
    }),
  ),
})

/** What is kept of a session, and of the attempts to get one. */
export type Kept = Type.Static<typeof Kept>
export type SignInMemory = Kept['memory']
export type KeptSession = NonNullable<Kept['session']>

/** The kept value, undefined when it is none that this version wrote. */
export function parseKept(value: unknown): Kept | undefined {
  return Check(Kept, value) ? value : undefined
}

/** What is kept without the session: for a sign-in under another configuration, which speaks its own API version. */
export function withoutSession(value: unknown): Kept | undefined {
  const kept = parseKept(value)
  return kept && { version: 1, memory: attemptsIn(kept.memory) }
}

/** What any other sign-in at the same appliance must not repeat. Codes count where they were asked for. */
export function attemptsIn({ refusedSecrets, spentCode, lastStep }: SignInMemory): SignInMemory {
  return { refusedSecrets, refusedCodes: [], lastStep, ...(spentCode === undefined ? {} : { spentCode }) }
}
