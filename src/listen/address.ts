/** What can be listened on: a TCP address, the path of a Unix socket, or a listening socket that was handed down. */
export type ListenAddress = { host: string; port: number } | { path: string } | { fd: number }

/** PEM texts; the certificate may be followed by those of its issuers. */
export interface CertificatePair {
  cert: string
  key: string
}

export interface Listen {
  address: ListenAddress
  /** Absent: no TLS. `auto`: a certificate of the local authority. */
  tls?: 'auto' | CertificatePair
}

/** What was asked for cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly errno: string

  /** @param reason what follows the address in the message, when there is more to say than the system's error code */
  constructor(address: ListenAddress, errno: string, reason = reasonFor(address, errno)) {
    super(`${printed(address)} ${reason}`)
    this.errno = errno
  }
}

function reasonFor(address: ListenAddress, errno: string): string {
  if (errno === 'EADDRINUSE') return 'is taken by another process'
  if (errno === 'EADDRNOTAVAIL') return 'is no address of this machine'
  if (errno === 'EACCES' && 'port' in address && address.port < 1024) {
    return 'cannot be listened on: ports below 1024 need CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start'
  }
  return `cannot be listened on (${errno})`
}

export function printed(address: ListenAddress): string {
  if ('path' in address) return `unix:${address.path}`
  if ('fd' in address) return `fd:${address.fd}`
  const { host, port } = address
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `SCHEME://HOST:PORT`, `unix:PATH` or `fd:N`. */
export function urlOf(address: ListenAddress, scheme: 'http' | 'https'): string {
  return 'host' in address ? `${scheme}://${printed(address)}` : printed(address)
}

/** A page below such a URL, as nginx writes it for sockets: `unix:PATH:/page`. */
export function pageAt(url: string, page: string): string {
  return url.startsWith('http') ? url + page : `${url}:${page}`
}
