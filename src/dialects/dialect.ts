import Type, { type Static, type TObject, type TProperties } from 'typebox'
import { Parse } from 'typebox/value'
import type { Emulation } from './emulation.ts'
import type { SignInAnswer } from './sign-in-answer.ts'

/** What is exchanged for a session (RFC 6749, section 1.3), as the session knows it and no wire does. */
export type Grant =
  | { type: 'password'; username: string; password: string }
  | { type: 'mfa'; mfaToken: string; code: string }
  | { type: 'authorization_code'; code: string }
  | { type: 'refresh_token'; refreshToken: string }

/** A request to the appliance, complete but for the connection and cookies. */
export interface WireRequest {
  method: 'POST' | 'DELETE'
  path: string
  fields: Record<string, string>
  body?: string
}

/** What came back: field names in lower case. */
export interface WireAnswer {
  status: number
  fields: Record<string, string | string[] | undefined>
  body: string
}

export interface Tokens {
  accessToken: string
  /** Absent when the answer brought none: the previous one stays good (RFC 6749, section 6). */
  refreshToken?: string
  /** Life of the access token in milliseconds, counted from the moment the request was sent. */
  life: number
}

/**
 * An answer of the token endpoint that brings the sign-in forward. Every other answer is thrown as a `Failure`. With
 * `version-wanted` the same grant can be put to the appliance in the version that it named.
 */
export type Outcome =
  | { type: 'granted'; tokens: Tokens; answer: SignInAnswer }
  | { type: 'mfa-required'; mfaToken: string }
  | { type: 'version-wanted'; version: string }

/** The wire format of one product, set up for one appliance. It knows nothing of time: no state, no retry. */
export interface Dialect {
  /** How to ask the token endpoint for a session. */
  ask(grant: Grant): WireRequest
  /**
   * Recognises an answer of the token endpoint.
   * @throws Failure SIGN_IN_REFUSED (CODE_REFUSED for the mfa grant), SIGN_IN_UNKNOWN, VERSION_REFUSED,
   * APPLIANCE_BUSY with retryAfter, or ANSWER_BROKEN.
   */
  understand(grant: Grant, answer: WireAnswer): Outcome
  /** The same in a version that the appliance named; absent where no answer of its asks for one. */
  inVersion?(version: string): Dialect
  signOut(accessToken: string): WireRequest
  /** Fields that every request of a session carries; whatever the caller sent under these names is replaced. */
  sessionFields(accessToken: string): Record<string, string>
  /** Fields that are set when the caller did not send them. */
  defaultFields: Record<string, string>
  /** True when cookies set by the appliance belong to the session and go back with every request. */
  keepsCookies: boolean
  /** Cookies whose value is also sent as a field. */
  echo: readonly { cookie: string; field: string }[]
  /**
   * What links in bodies look like: with the appliance's own origin, from the root (which only a mount makes wrong), or
   * there are none.
   */
  links: 'absolute' | 'rooted' | 'none'
  /** Something to ask for in examples: the path, and the member of the answer that holds the list. */
  sample: { path: string; list: string }
}

/**
 * Paths that the proxy answers itself: a token from there would work without the proxy, and a sign-out would end the
 * session for all callers.
 */
export interface CredentialPath {
  /** `token` is the token endpoint, whatever the method; `other` has nothing that could be emulated. */
  readonly kind: 'token' | 'sign-out' | 'authorization-code' | 'other'
  /** Matches canonical paths: lower case, no slash at the end, no query. Without flags. */
  readonly path: RegExp
}

/** One product of the vendor: what the registry, the configuration schema and the command line know of it. */
export interface Product {
  /** The value of `product` in the configuration. */
  readonly name: string
  readonly title: string
  /** Port of the REST API when the appliance was installed with defaults. */
  readonly defaultPort: number
  /** The product's own keys of an appliance in the configuration. */
  readonly options: TObject
  /** What the credentials in the configuration may be. */
  readonly credentials: readonly ('password' | 'authorizationCode')[]
  /** True when a sign-in with a password can ask for a code. */
  readonly mfa: boolean
  /** Of every version of the product; the first that matches counts. */
  readonly credentialPaths: readonly CredentialPath[]
  readonly emulation: Emulation
  /** @throws when the options do not fit the schema */
  dialect(options: unknown): Dialect
}

interface ProductParts<P extends TProperties> {
  name: string
  title: string
  defaultPort: number
  options: P
  credentials: Product['credentials']
  mfa: boolean
  credentialPaths: readonly CredentialPath[]
  emulation: Emulation
  dialect(options: Static<TObject<P>>): Dialect
}

export function defineProduct<P extends TProperties>(parts: ProductParts<P>): Product {
  const options = Type.Object(parts.options, { additionalProperties: false })
  return { ...parts, options, dialect: given => parts.dialect(Parse(options, given)) }
}
