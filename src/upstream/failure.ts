import { Failure, type FailureCode } from '../errors.ts'
import { certificateFault } from './trust.ts'

const known: Readonly<Record<string, readonly [FailureCode, string]>> = {
  ECONNREFUSED: ['APPLIANCE_UNREACHABLE', 'The connection was refused.'],
  ENOTFOUND: ['APPLIANCE_UNREACHABLE', 'The host name does not resolve.'],
  EAI_AGAIN: ['APPLIANCE_UNREACHABLE', 'The host name does not resolve now.'],
  EHOSTUNREACH: ['APPLIANCE_UNREACHABLE', 'There is no route to the host.'],
  ENETUNREACH: ['APPLIANCE_UNREACHABLE', 'There is no route to the network.'],
  EPROTO: ['APPLIANCE_UNREACHABLE', 'TLS could not be agreed on; does another service listen at this port?'],
  ECONNRESET: ['APPLIANCE_UNREACHABLE', 'The connection was reset.'],
  EPIPE: ['APPLIANCE_UNREACHABLE', 'The connection was closed.'],
  UND_ERR_SOCKET: ['APPLIANCE_UNREACHABLE', 'The connection was closed without an answer.'],
  UND_ERR_CONNECT_TIMEOUT: ['APPLIANCE_TIMEOUT', 'No connection came about in time.'],
  ETIMEDOUT: ['APPLIANCE_TIMEOUT', 'No connection came about in time.'],
  UND_ERR_HEADERS_TIMEOUT: ['APPLIANCE_TIMEOUT', 'No answer began in time.'],
  UND_ERR_BODY_TIMEOUT: ['APPLIANCE_TIMEOUT', 'The answer stopped midway.'],
  TimeoutError: ['APPLIANCE_TIMEOUT', 'No whole answer came in time.'],
  UND_ERR_INVALID_ARG: ['BAD_REQUEST', 'The request has a path, method or field that HTTP does not allow.'],
  UND_ERR_HEADERS_OVERFLOW: ['ANSWER_BROKEN', 'The fields of the answer are too large.'],
}

/** What a caller may know of an error of undici, Node.js or TLS: no address, no parser's words. */
export function upstreamFailure(error: unknown): Failure {
  if (error instanceof Failure) return error
  const fault = certificateFault(error)
  if (fault !== undefined) {
    return new Failure('CERTIFICATE_UNTRUSTED', `The certificate is not trusted: ${fault}.`, { cause: error })
  }
  // undici's words for an answer of 100 or 101 that nothing had asked for.
  const code = error instanceof Error && /^bad (response|upgrade)$/.test(error.message) ? '' : codeOf(error)
  const [failure, detail] = known[code] ?? broken(code)
  return new Failure(failure, detail, { cause: error })
}

function broken(code: string): readonly [FailureCode, string] {
  if (code.startsWith('ERR_SSL')) return known.EPROTO ?? ['APPLIANCE_UNREACHABLE', code]
  if (/^E[A-Z]+$/.test(code)) return ['APPLIANCE_UNREACHABLE', `The connection failed (${code}).`]
  return ['ANSWER_BROKEN', 'The answer is not valid HTTP.']
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if (error.name === 'TimeoutError') return error.name
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  return 'code' in error ? String(error.code) : ''
}

/** Whether a connection went away under a request, rather than never coming about or answering badly. */
export function isConnectionLoss(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(codeOf(error))
}
