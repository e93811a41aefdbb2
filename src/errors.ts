// Longer than the rule allows by a few lines: it is one table.

/**
 * Every failure the proxy can tell a caller of, in one table: the stable code, the HTTP status it is answered with,
 * what it means and what a person can do about it. README's trouble table is made from this one.
 */
export const failures = {
  SIGN_IN_REFUSED: {
    status: 502,
    title: 'The appliance refused the credentials',
    remedy: 'Correct the user name or password of this appliance, then run: veeam-auth-proxy sign-in NAME',
  },
  SIGN_IN_UNKNOWN: {
    status: 502,
    title: 'There is no sign-in at this address',
    remedy: 'Check url (host and port) and product of this appliance: its token path does not exist there',
  },
  VERSION_REFUSED: {
    status: 502,
    title: 'The appliance refused the API version',
    remedy: 'Set apiVersion of this appliance to a version that it supports',
  },
  CODE_WANTED: {
    status: 503,
    title: 'The appliance wants a code from a person',
    remedy: 'Run: veeam-auth-proxy code NAME',
  },
  CODE_REFUSED: {
    status: 422,
    title: 'The appliance refused the code',
    remedy: 'Give the code that the authenticator shows now, and check the clock of the device that makes it',
  },
  TOO_MANY_REFUSALS: {
    status: 429,
    title: 'Too many codes were refused',
    remedy: 'Wait as long as Retry-After says: another wrong code could lock the account',
  },
  MFA_EXPIRED: {
    status: 503,
    title: 'The appliance waited too long for the code',
    remedy: 'Give the code again; the proxy has started the sign-in anew',
  },
  CODE_UNWANTED: {
    status: 409,
    title: 'The appliance is not waiting for a code',
    remedy: 'See the state of its session with: veeam-auth-proxy status',
  },
  NOT_SIGNED_IN: {
    status: 503,
    title: 'There is no session at the appliance yet',
    remedy: 'Try again after Retry-After seconds; the proxy keeps trying by itself',
  },
  NO_SESSION: {
    status: 409,
    title: 'There is no session to renew',
    remedy: 'Run: veeam-auth-proxy sign-in NAME',
  },
  SECRET_UNREADABLE: {
    status: 502,
    title: 'A secret of this appliance cannot be read',
    remedy: 'Make the environment variable, file or command of the secret reference readable for the proxy',
  },
  CERTIFICATE_UNTRUSTED: {
    status: 502,
    title: 'The certificate of the appliance is not trusted',
    remedy: 'Set tls.ca or tls.fingerprint of this appliance after checking the fingerprint at the appliance itself',
  },
  APPLIANCE_UNREACHABLE: {
    status: 502,
    title: 'The appliance cannot be reached',
    remedy: 'Check url of this appliance, name resolution, routes and firewalls, and that the appliance is running',
  },
  APPLIANCE_BUSY: {
    status: 503,
    title: 'The appliance cannot serve a sign-in now',
    remedy: 'Wait; the proxy tries again by itself, later each time',
  },
  APPLIANCE_TIMEOUT: {
    status: 504,
    title: 'The appliance did not answer in time',
    remedy: 'Look at the load of the appliance; raise timeouts of this appliance if such answers are known to be slow',
  },
  ANSWER_BROKEN: {
    status: 502,
    title: 'The appliance gave an answer that cannot be understood',
    remedy: 'Check that url and product of this appliance belong together; look at the log of the appliance',
  },
  UNKNOWN_APPLIANCE: {
    status: 404,
    title: 'No appliance has this name',
    remedy: 'Use one of the names listed in appliances, as the first segment of the path or as NAME.localhost',
  },
  UNKNOWN_PATH: {
    status: 404,
    title: 'The proxy has no such page of its own',
    remedy: 'See README for the paths under /-/',
  },
  BAD_REQUEST: {
    status: 400,
    title: 'The request cannot be understood',
    remedy: 'Correct the request as detail says',
  },
  NOT_A_FORWARD_PROXY: {
    status: 400,
    title: 'This is no proxy to be set as HTTP proxy',
    remedy:
      'Give the tool this address with the name of the appliance, such as http://localhost:8080/NAME, in the place of the ' +
      "appliance's own, and set no HTTP proxy for it (http_proxy, https_proxy, --proxy)",
  },
  CONFIGURATION_REFUSED: {
    status: 422,
    title: 'The new configuration was refused',
    remedy: 'Correct it where detail says; until then the old one runs on',
  },
  OVERLOADED: {
    status: 503,
    title: 'Too many requests are under way',
    remedy: 'Try again after Retry-After seconds; raise maxInFlight of this appliance if it can bear more',
  },
  HOST_UNKNOWN: {
    status: 421,
    title: 'The proxy does not answer under this host name',
    remedy: 'Call it as localhost, 127.0.0.1, [::1] or NAME.localhost, or add the host name to allowedHosts',
  },
  ORIGIN_DENIED: {
    status: 403,
    title: 'A page of another origin may not use the proxy',
    remedy: 'Add the origin of the page to allowedOrigins if it may speak with the rights of the accounts here',
  },
  CALLER_UNKNOWN: {
    status: 401,
    title: 'The proxy wants to know who calls',
    remedy:
      'Send the secret of a configured caller as Authorization: Bearer, as Basic with its name, or as x-proxy-key',
  },
  TOO_MANY_FAILURES: {
    status: 429,
    title: 'Too many callers could not be told who they are',
    remedy: 'Correct the secret that the caller sends, and wait as long as Retry-After says',
  },
  ADMIN_WANTED: {
    status: 403,
    title: 'This caller may not manage the proxy',
    remedy: 'Set admin: true for the caller, or use one that has it',
  },
  APPLIANCE_DENIED: {
    status: 403,
    title: 'This caller may not use the appliance',
    remedy: 'Add the name of the appliance to appliances of the caller',
  },
  METHOD_DENIED: {
    status: 403,
    title: 'The method is not allowed here',
    remedy: 'See readOnly and methods of the caller and of the appliance',
  },
  PATH_DENIED: {
    status: 403,
    title: 'The path is not allowed here',
    remedy: 'See paths of the caller and of the appliance',
  },
  CREDENTIALS_WITHHELD: {
    status: 403,
    title: 'The proxy keeps credentials to itself',
    remedy:
      'Call other paths: the proxy signs in by itself. signIn: emulate of the appliance answers sign-ins in its place, ' +
      'allow: [credentials] forwards this path too',
  },
  GRANT_WITHHELD: {
    status: 400,
    title: 'The proxy answers no sign-in of this kind',
    remedy: 'Sign in with user name and password or a refresh token; the proxy has the session of one account only',
  },
  URL_TOO_LONG: {
    status: 414,
    title: 'Path and query of the request are too long',
    remedy: 'Send less in the query',
  },
  FIELDS_TOO_LARGE: {
    status: 431,
    title: 'The fields of the request are too many or too large',
    remedy: 'Send fewer and shorter fields; cookies of other programs under the same host name are a common cause',
  },
  REQUEST_STALLED: {
    status: 408,
    title: 'The request stood still before it was whole',
    remedy: 'Send the request without such a pause',
  },
  BODY_TOO_LARGE: {
    status: 413,
    title: 'The body of the request is too large',
    remedy: 'Send less, or raise maxBody of the appliance',
  },
  NOT_CACHED: {
    status: 504,
    title: 'The cache holds no such answer',
    remedy: 'Leave only-if-cached out of Cache-Control, and the appliance is asked',
  },
  SHUTTING_DOWN: {
    status: 503,
    title: 'The proxy is shutting down',
    remedy: 'Try again when it has been started anew',
  },
  INTERNAL: {
    status: 500,
    title: 'The proxy failed',
    remedy: 'This is a defect of the proxy: please report it with the log line of this request id',
  },
} as const satisfies Record<string, { status: number; title: string; remedy: string }>

export type FailureCode = keyof typeof failures

/** Failures that are a decision of the guard or of a rule. */
export const denials: ReadonlySet<FailureCode> = new Set([
  'BAD_REQUEST',
  'HOST_UNKNOWN',
  'ORIGIN_DENIED',
  'CALLER_UNKNOWN',
  'TOO_MANY_FAILURES',
  'ADMIN_WANTED',
  'APPLIANCE_DENIED',
  'METHOD_DENIED',
  'PATH_DENIED',
  'CREDENTIALS_WITHHELD',
  'GRANT_WITHHELD',
  'BODY_TOO_LARGE',
])

export interface FailureParts {
  /** Milliseconds after which trying again makes sense; becomes `Retry-After`. */
  retryAfter?: number | undefined
  /** Whose rule decided so, such as `caller reader`, where there may be several. */
  rule?: string
  cause?: unknown
  /** Further members of the problem document (RFC 9457, section 3.2); never a secret. */
  extensions?: Record<string, unknown>
}

/** A failure with a code of the table; `message` is the detail for this occurrence and never holds a secret. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly code: FailureCode
  readonly retryAfter: number | undefined
  readonly rule: string | undefined
  readonly extensions: Record<string, unknown>

  constructor(code: FailureCode, detail: string, parts: FailureParts = {}) {
    super(detail, { cause: parts.cause })
    this.code = code
    this.retryAfter = parts.retryAfter
    this.rule = parts.rule
    this.extensions = parts.extensions ?? {}
  }

  get status(): number {
    return failures[this.code].status
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
