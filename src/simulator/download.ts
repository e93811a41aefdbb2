import { createCipheriv, createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Exchange, field, send } from './answer.ts'

const block = 16
const chunk = 64 * 1024
const zeros = Buffer.alloc(chunk)

/**
 * The bytes of a download from `offset` on: an AES-CTR key stream, so any range can be made without what is before it
 * and no two blocks are alike. The same seed gives the same bytes everywhere.
 */
export function* downloadBytes(seed: string, offset: number, length: number): Generator<Buffer> {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16)
  const counter = Buffer.alloc(block)
  counter.writeBigUInt64BE(BigInt(Math.floor(offset / block)), 8)
  const cipher = createCipheriv('aes-128-ctr', key, counter)
  cipher.update(zeros.subarray(0, offset % block))
  for (let left = length; left > 0; left -= chunk) {
    yield cipher.update(left < chunk ? zeros.subarray(0, left) : zeros)
  }
}

interface Span {
  start: number
  /** Exclusive. */
  end: number
}

/** `GET …/downloads/large?bytes=N&seed=S`: RFC 9110, section 14, for a single range. */
export async function sendDownload({ request, response, query }: Exchange): Promise<void> {
  const size = Number(query.get('bytes') ?? '1048576')
  if (!Number.isSafeInteger(size) || size < 0) return send(response, { status: 400, body: { message: 'bytes' } })
  const seed = query.get('seed') ?? 'seed'
  const etag = `"${size}-${createHash('sha256').update(seed).digest('hex').slice(0, 16)}"`
  const wanted = readRange(field(request, 'range'), size)
  const condition = field(request, 'if-range')
  const range = condition !== undefined && condition !== etag ? undefined : wanted
  if (range === 'unsatisfiable') {
    return send(response, { status: 416, fields: { 'content-range': `bytes */${size}` } })
  }
  const { start, end } = range ?? { start: 0, end: size }
  response.statusCode = range === undefined ? 200 : 206
  if (range !== undefined) response.setHeader('content-range', `bytes ${start}-${end - 1}/${size}`)
  response.setHeader('accept-ranges', 'bytes')
  response.setHeader('etag', etag)
  response.setHeader('content-type', 'application/octet-stream')
  response.setHeader('content-length', end - start)
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  // A caller that leaves is no fault of ours; the pipeline has stopped by then.
  await pipeline(Readable.from(downloadBytes(seed, start, end - start)), response).catch(() => undefined)
}

/** undefined: no range, or none we understand, which means the whole. */
function readRange(value: string | undefined, size: number): Span | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(value ?? '')
  if (match === null) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  if (start >= size) return 'unsatisfiable'
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) }
}
