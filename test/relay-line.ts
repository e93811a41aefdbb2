import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

type Direction = 'up' | 'down'

export interface Fault {
  byte: number
  direction: Direction
  what: 'cut' | 'reset' | 'stall' | 'corrupt'
}

/** What holds for all connections of a relay; a fault that has happened is taken out. */
export interface Rules {
  delay: number
  bytesPerSecond: number | undefined
  faults: Fault[]
}

/** A throttled way moves this often, in milliseconds. */
const STEP = 20
/** How long bytes before a reset have to be read, in milliseconds. */
const SETTLE = 50

/** One connection of a relay: the near socket of who connected, and a far one to the target. */
export class Line {
  readonly closed: Promise<unknown>
  readonly #near: Socket
  readonly #far: Socket
  readonly #rules: Rules
  /** Aborted when no more bytes may pass, so that nothing waits any longer for its turn. */
  readonly #over = new AbortController()
  #stall: { lifted: Promise<void>; lift: () => void } | undefined

  constructor(near: Socket, target: { host: string; port: number }, rules: Rules) {
    this.#near = near
    this.#far = connect({ ...target, allowHalfOpen: true, noDelay: true })
    this.#rules = rules
    for (const socket of [this.#near, this.#far]) socket.on('error', () => this.reset())
    this.closed = Promise.all(
      [this.#near, this.#far].map(socket => new Promise(resolve => socket.on('close', resolve))),
    )
    void this.#carry(this.#near, this.#far, 'up')
    void this.#carry(this.#far, this.#near, 'down')
  }

  cut(): void {
    this.#end()
    for (const socket of [this.#near, this.#far]) socket.end()
  }

  reset(): void {
    this.#end()
    for (const socket of [this.#near, this.#far]) {
      // One whose FIN is under way cannot be reset any more: libuv refuses, and 'close' would never come.
      if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  stall(): void {
    if (this.#stall !== undefined) return
    let lift = () => {}
    const lifted = new Promise<void>(resolve => {
      lift = resolve
    })
    this.#stall = { lifted, lift }
  }

  resume(): void {
    this.#stall?.lift()
    this.#stall = undefined
  }

  #end(): void {
    this.#over.abort()
    this.resume()
  }

  async #carry(from: Socket, to: Socket, direction: Direction): Promise<void> {
    let passed = 0
    try {
      // What comes after the end is read and dropped: unread bytes would turn a FIN into an RST.
      // Ended is not over: a socket whose sender has ended still has its other way to go.
      for await (const bytes of from.iterator({ destroyOnReturn: false })) {
        for (let rest: Buffer = bytes; rest.length > 0 && !this.#over.signal.aborted; ) {
          const next = this.#nextFault(direction, passed)
          if (next?.byte === passed) {
            await this.#happen(next, rest)
            continue
          }
          const piece = rest.subarray(0, Math.min(this.#most(), (next?.byte ?? Number.POSITIVE_INFINITY) - passed))
          await this.#turn(piece.length)
          if (this.#over.signal.aborted) break
          // Not before the kernel has it: that is the back pressure, and what lets bytes before a reset arrive.
          await new Promise(resolve => to.write(piece, resolve))
          passed += piece.length
          rest = rest.subarray(piece.length)
        }
      }
      await this.#turn(0)
      to.end()
    } catch {
      // Both sockets are broken by then, by reset().
    }
  }

  #nextFault(direction: Direction, passed: number): Fault | undefined {
    const ahead = this.#rules.faults.filter(fault => fault.direction === direction && fault.byte >= passed)
    return ahead.sort((a, b) => a.byte - b.byte)[0]
  }

  async #happen(fault: Fault, rest: Buffer): Promise<void> {
    this.#rules.faults.splice(this.#rules.faults.indexOf(fault), 1)
    // Where bytes and an RST wait together, libuv reads the bytes and takes the rest for an orderly end.
    if (fault.what === 'reset') await this.#sleep(SETTLE)
    if (fault.what === 'corrupt') rest[0] = ~(rest[0] ?? 0)
    else this[fault.what]()
  }

  #most(): number {
    const { bytesPerSecond } = this.#rules
    return bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : Math.max(1, (bytesPerSecond * STEP) / 1000)
  }

  /** Returns when so many bytes may pass, or none ever again. */
  async #turn(bytes: number): Promise<void> {
    const { delay, bytesPerSecond } = this.#rules
    const wait = delay + (bytesPerSecond === undefined ? 0 : (bytes / bytesPerSecond) * 1000)
    if (wait > 0) await this.#sleep(Math.ceil(wait))
    while (this.#stall !== undefined) await this.#stall.lifted
  }

  /** Shorter when the connection is over before. */
  async #sleep(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#over.signal }).catch(() => {})
  }
}
