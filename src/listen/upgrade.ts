import type { IncomingMessage } from 'node:http'

/** Fields that offer another protocol (RFC 9110, section 7.8; RFC 7540, section 3.2.1). */
const OFFERS = new Set(['upgrade', 'http2-settings'])

/** HTTP/1.0 knows no other protocols (RFC 9110, section 7.8). */
export function isWebSocket({ method, httpVersion, headers }: IncomingMessage): boolean {
  return method === 'GET' && httpVersion === '1.1' && headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * The head of a request as it would be had no other protocol been offered, which a server is free not to take up. Some
 * HTTP/2 clients offer h2c with every first request. Node.js has stopped reading at such a one and must begin again.
 */
export function headWithoutOffer({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const value = rawHeaders[i + 1] ?? ''
    if (OFFERS.has(name.toLowerCase())) continue
    if (name.toLowerCase() !== 'connection') {
      lines.push(`${name}: ${value}`)
      continue
    }
    const options = value.split(',').map(option => option.trim())
    const others = options.filter(option => option !== '' && !OFFERS.has(option.toLowerCase()))
    if (others.length > 0) lines.push(`${name}: ${others.join(', ')}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}
