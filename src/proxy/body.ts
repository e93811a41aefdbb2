import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { Failure } from '../errors.ts'
import type { Account } from './account.ts'

/** Bodies up to this size are held while their request is under way, so that it can be sent again. */
const KEPT = 65_536

/** Bytes of a body that are taken in before its caller has to wait: with the usual 16 KB uploads were a tenth slower. */
const ROOM = 131_072

/** The body of a request on its way up. */
export interface RequestBody {
  /** What to send: nothing, the whole body, or its stream. */
  readonly payload: null | Buffer | Readable
  /** What to send a second time; undefined when the body is gone. */
  again(): null | Buffer | undefined
}

export const NO_BODY: RequestBody = { payload: null, again: () => null }

/** Whether anything but the head belongs to a request. */
export function bringsBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
}

/**
 * Waits for the whole of a small body, so that no upstream connection waits for its caller; streams any other.
 * @param most largest size in bytes
 * @throws Failure BODY_TOO_LARGE; a body of unknown length fails with it when it has grown too large
 */
export async function bodyOf(
  request: IncomingMessage,
  account: Account,
  most = Number.POSITIVE_INFINITY,
): Promise<RequestBody> {
  const { headers } = request
  if (headers['transfer-encoding'] !== undefined) return unmeasured(request, account, most)
  const length = Number(headers['content-length'] ?? 0)
  if (length === 0) return NO_BODY
  if (length > most) throw tooLarge(most)
  if (length > KEPT) return { payload: streamed(request, account), again: () => undefined }
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const whole = Buffer.concat(chunks)
  account.bytesUp = whole.length
  return { payload: whole, again: () => whole }
}

/** A body of unknown length is streamed, and kept beside for as long as it is small. */
function unmeasured(request: IncomingMessage, account: Account, most: number): RequestBody {
  let kept: Buffer[] | undefined = []
  const payload: Readable = streamed(request, account, chunk => {
    if (account.bytesUp > KEPT) kept = undefined
    kept?.push(chunk)
    if (account.bytesUp > most) payload.destroy(tooLarge(most))
  })
  return { payload, again: () => (request.readableEnded && kept !== undefined ? Buffer.concat(kept) : undefined) }
}

/**
 * The request's body as a stream of its own. undici destroys a body that the appliance did not want to the end, and
 * destroying the request itself would take the caller's connection along, with the answer still on it.
 */
function streamed(request: IncomingMessage, account: Account, onChunk?: (chunk: Buffer) => void): Readable {
  const body = new Readable({
    highWaterMark: ROOM,
    read: () => request.resume(),
    destroy(error, done) {
      request.off('data', take)
      request.resume()
      done(error)
    },
  })
  function take(chunk: Buffer): void {
    account.bytesUp += chunk.length
    onChunk?.(chunk)
    if (!body.push(chunk)) request.pause()
  }
  request.on('data', take)
  request.pause()
  request.once('end', () => body.push(null))
  request.once('error', error => body.destroy(error))
  return body
}

function tooLarge(most: number): Failure {
  return new Failure('BODY_TOO_LARGE', `The appliance is configured to take ${most} bytes at most.`)
}
