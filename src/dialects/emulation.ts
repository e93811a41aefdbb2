import type { SignInAnswer } from './sign-in-answer.ts'

/** An error answer of a token endpoint, before it has taken a product's form. */
export interface SignInError {
  status: number
  /** As in RFC 6749, section 5.2, such as `unsupported_grant_type`. */
  error: string
  /** For a person: what is wrong, and what to do about it. */
  message: string
}

/** How a product's token endpoint speaks, where the proxy speaks in its place. */
export interface Emulation {
  /** Stands in for the appliance's own last answer while none is known. */
  readonly answer: SignInAnswer
  /** Media type of an error. */
  readonly errorType: string
  /**
   * The product's form of an error, with `message` in it: the one member that tools print.
   * @param path canonical, of the request
   */
  error(error: SignInError, path: string): object
  /**
   * Status of the answer to a sign-out, which has no body; undefined when the request is none.
   * @param path canonical, of a request to a credential path
   */
  signOutStatus(method: string, path: string): number | undefined
}

export const PROBLEM_JSON = 'application/problem+json; charset=utf-8'
export const JSON_TYPE = 'application/json; charset=utf-8'

/** The reason phrase that stands as title in the products' problem documents. */
export function titleOf(status: number): string {
  return titles.get(status) ?? 'Internal Server Error'
}

/** Of the enumeration that the family of these products documents. */
export function errorCodeOf(status: number): string {
  return errorCodes.get(status) ?? 'ServiceUnavailable'
}

const titles: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [413, 'Payload Too Large'],
  [429, 'Too Many Requests'],
])

const errorCodes: ReadonlyMap<number, string> = new Map([
  [400, 'UnexpectedContent'],
  [401, 'AccessDenied'],
  [403, 'AccessDenied'],
  [413, 'UnexpectedContent'],
])
