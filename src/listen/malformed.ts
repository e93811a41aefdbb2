import type { RefusalCode } from './refusal.ts'

/**
 * What to answer to a connection on which Node.js found no request.
 * @param error as `clientError` brings it
 */
export function refusalOf(error: Error): { code: RefusalCode; detail: string } {
  const errno = 'code' in error ? String(error.code) : error.name
  if (errno === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { code: 'REQUEST_STALLED', detail: 'The head of the request did not come in time.' }
  }
  if (errno === 'HPE_HEADER_OVERFLOW') {
    const packet = 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : Buffer.alloc(0)
    if (isRequestLine(packet)) return { code: 'URL_TOO_LONG', detail: 'The request line has no end.' }
    return { code: 'FIELDS_TOO_LARGE', detail: 'The head of the request is too large.' }
  }
  if (errno === 'HPE_INVALID_URL') {
    return { code: 'BAD_REQUEST', detail: 'The target is no path, or has characters that must be percent-encoded.' }
  }
  return { code: 'BAD_REQUEST', detail: `This is not HTTP/1.1 as RFC 9112 has it (${errno}).` }
}

/** Whether the bytes are one line that begins as a request does. */
function isRequestLine(packet: Buffer): boolean {
  return /^[A-Z-]+ \S+$/.test(packet.toString('latin1', 0, 512)) && !packet.includes('\n')
}
