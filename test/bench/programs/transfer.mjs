import { connect } from 'node:net'

// One large body, down or up, over a bare socket: the sender and the receiver cost as little as can be. The end is
// told by what has come and not by the end of the connection, which some proxies keep open whatever they are asked.
const { url, bytes, direction } = JSON.parse(process.argv[2])
const { hostname, port, host, pathname } = new URL(url)
const PIECE = Buffer.alloc(262_144)
const HEAD_END = '\r\n\r\n'
const since = performance.now()
let left = direction === 'up' ? bytes : 0
let head = ''
let received = 0

const socket = connect({
  host: hostname,
  port: Number(port),
  onread: { buffer: Buffer.alloc(1_048_576), callback: take },
})

function take(length, buffer) {
  received += length
  if (!head.includes(HEAD_END)) {
    head += buffer.toString('latin1', 0, Math.min(length, 16_384))
    if (!head.includes(HEAD_END)) return true
    if (!/^HTTP\/1\.1 2\d\d /.test(head)) throw new Error(`answered ${head.slice(0, 200)}`)
  }
  const wanted = head.indexOf(HEAD_END) + HEAD_END.length + (direction === 'down' ? bytes : 0)
  if (received >= wanted) finish()
  return true
}

function finish() {
  if (left > 0) throw new Error(`answered with ${left} bytes still to come`)
  process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - since) / 1000 })}\n`)
  process.exit(0)
}

function more() {
  while (left > 0) {
    const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE
    left -= piece.length
    if (!socket.write(piece)) return
  }
}

socket.once('connect', () => {
  const length = direction === 'up' ? `Content-Length: ${bytes}\r\n` : ''
  socket.write(`${direction === 'up' ? 'PUT' : 'GET'} ${pathname} HTTP/1.1\r\nHost: ${host}\r\n${length}\r\n`)
  more()
})
socket.on('drain', more)
socket.once('error', error => {
  throw error
})
socket.once('end', () => {
  throw new Error(`cut after ${received} bytes: ${head.slice(0, 200)}`)
})
