import { isIP } from 'node:net'
import { Obstacle } from './obstacle.ts'

/**
 * The origin of an appliance's url, without a slash at its end.
 * @throws Obstacle, whose message never quotes the url: it can hold a password
 */
export function originOf(text: string): string {
  if (!/^https?:\/\//i.test(text)) {
    throw new Obstacle('url does not begin with https://', 'Write it as https://HOST:PORT')
  }
  if (/[\s\\]/.test(text) || !URL.canParse(text)) {
    throw new Obstacle('url cannot be understood', 'Write it as https://HOST:PORT')
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || text.includes('@')) {
    throw new Obstacle('url holds a user name or password', 'Remove them from url and put them under credentials')
  }
  if (/[?#]/.test(text)) throw new Obstacle('url holds a query or fragment', `Write it as ${url.origin}`)
  if (url.pathname !== '/') {
    throw new Obstacle('url holds a path, which comes from each request', `Write it as ${url.origin}`)
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new Obstacle('over http the password would travel in clear', `Write https://${url.host}`)
  }
  return url.origin
}

/** @param hostname as the URL standard writes it: small letters, IPv4 in four parts, IPv6 in brackets */
function isLoopback(hostname: string): boolean {
  const isName = hostname === 'localhost' || hostname.endsWith('.localhost')
  return isName || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'))
}

/** @throws Obstacle */
export function listenOf(text: string): { host: string; port: number } {
  const [, host, port] = /^(\[[^\]]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(text) ?? []
  if (host !== undefined && port !== undefined) return { host: hostOf(host), port: portOf(port) }
  throw new Obstacle('listen is not an address and port', 'Write it as HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080')
}

/**
 * An address or name to listen on, IPv6 with or without brackets.
 * @throws Obstacle
 */
export function hostOf(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) > 0 || /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(host)) return host
  throw new Obstacle('this is not an address to listen on', 'Give one such as 127.0.0.1, ::1 or localhost')
}

/** @throws Obstacle */
export function portOf(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  throw new Obstacle('this is not a port', 'Give a number from 0 to 65535; 0 takes any free port')
}
