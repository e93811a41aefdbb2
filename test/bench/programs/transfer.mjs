import { connect } from 'node:net'

// One large body, down or up, over a bare socket: the sender and the receiver cost as little as can be.
const { url, bytes, direction } = JSON.parse(process.argv[2])
const { hostname, port, host, pathname } = new URL(url)
const PIECE = Buffer.alloc(262_144)
const since = performance.now()
let head = ''
let received = 0

const socket = connect({
  host: hostname,
  port: Number(port),
  onread: {
    buffer: Buffer.alloc(1_048_576),
    callback(length, buffer) {
      received += length
      if (!head.includes('\r\n\r\n')) head += buffer.toString('latin1', 0, Math.min(length, 16_384))
      return true
    },
  },
})

socket.once('connect', () => {
  if (direction === 'down') {
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    return
  }
  socket.write(`PUT ${pathname} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Length: ${bytes}\r\n\r\n`)
  let left = bytes
  const more = () => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE
      left -= piece.length
      if (!socket.write(piece)) return
    }
    socket.off('drain', more)
  }
  socket.on('drain', more)
  more()
})

socket.once('error', error => {
  throw error
})
socket.once('end', () => {
  const seconds = (performance.now() - since) / 1000
  if (!/^HTTP\/1\.1 2\d\d /.test(head)) throw new Error(`answered ${head.slice(0, 200)}`)
  if (direction === 'down' && received < bytes) throw new Error(`${received} of ${bytes} bytes came`)
  process.stdout.write(`${JSON.stringify({ seconds })}\n`)
  process.exit(0)
})
