import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { type Fault, Line, type Rules } from './relay-line.ts'

/**
 * A TCP connection between proxy and appliance that fails at command. It knows nothing of what it carries, so it works
 * under TLS; what has not been read by one side is not taken from the other.
 */
export interface Relay {
  port: number
  /** Ends all connections in order, both ways (FIN); bytes that come afterwards are lost. */
  cut(): void
  /** Breaks all connections, both ways (RST). */
  reset(): void
  /** No more bytes, and no more ends, pass on any connection until `resume`. New connections are still accepted. */
  stall(): void
  resume(): void
  /** New connections are refused (ECONNREFUSED) until `accept`; open ones stay. */
  refuse(): void
  accept(): void
  /** Every piece waits so long before it passes, in milliseconds. */
  delay(milliseconds: number): void
  /** Each way of each connection by itself; undefined lifts it. */
  throttle(bytesPerSecond: number | undefined): void
  /**
   * Happens once, on the next connection that reaches it: `byte` bytes pass, and when another one comes, the connection
   * is cut, reset or stalled until `resume`, or that byte passes with all of its bits flipped. Up is to the appliance.
   */
  at(byte: number, direction: 'up' | 'down', what: Fault['what']): void
  /** Faults of `at` that no connection has reached yet. */
  pending(): number
  /** Those that are open now. */
  connections(): number
  close(): Promise<void>
}

export async function startRelay(target: { host: string; port: number }): Promise<Relay> {
  const lines = new Set<Line>()
  const rules: Rules = { delay: 0, bytesPerSecond: undefined, faults: [] }
  let stalled = false
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near: Socket) => {
    const line = new Line(near, target, rules)
    lines.add(line)
    if (stalled) line.stall()
    void line.closed.then(() => lines.delete(line))
  })
  const port = await listen(server)
  return {
    port,
    cut: () => each(lines, line => line.cut()),
    reset: () => each(lines, line => line.reset()),
    stall() {
      stalled = true
      each(lines, line => line.stall())
    },
    resume() {
      stalled = false
      each(lines, line => line.resume())
    },
    refuse: () => void server.close(),
    accept() {
      if (!server.listening) server.listen(port, '127.0.0.1')
    },
    delay(milliseconds) {
      rules.delay = milliseconds
    },
    throttle(bytesPerSecond) {
      rules.bytesPerSecond = bytesPerSecond
    },
    at: (byte, direction, what) => void rules.faults.push({ byte, direction, what }),
    pending: () => rules.faults.length,
    connections: () => lines.size,
    async close() {
      server.close()
      const closed = [...lines].map(line => line.closed)
      each(lines, line => line.reset())
      await Promise.all(closed)
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen on a port')
  return address.port
}

function each(lines: Iterable<Line>, act: (line: Line) => void): void {
  for (const line of [...lines]) act(line)
}
