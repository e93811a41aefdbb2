import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Chain, Link } from '../chain.ts'

class Owed extends Link {
  readonly response: ServerResponse

  constructor(response: ServerResponse) {
    super()
    this.response = response
  }
}

/** The answers that a listener owes. */
export class InFlight {
  readonly #all = new Chain<Owed>()
  /** Those that came behind another one on their connection. */
  readonly #queued = new Map<Duplex, Set<ServerResponse>>()

  get size(): number {
    return this.#all.size
  }

  *[Symbol.iterator](): Iterator<ServerResponse> {
    for (const { response } of this.#all) yield response
  }

  /** @param onClose when it is answered, or nobody waits for it any more; may be called twice */
  add(response: ServerResponse, onClose: () => void): void {
    const owed = new Owed(response)
    this.#all.add(owed)
    if (response.socket === null) this.#queue(response)
    response.on('close', () => {
      this.#all.delete(owed)
      onClose()
    })
  }

  /** Those of one connection, in the order in which they are answered. */
  of(socket: Duplex): ServerResponse[] {
    return [...this].filter(({ req }) => req.socket === socket)
  }

  /**
   * Ends what waited on a connection that is gone. Node.js tells the first answer of it and leaves those behind it
   * open, with all that their requests hold: it would be held for ever.
   */
  abandon(socket: Duplex): void {
    for (const response of this.#queued.get(socket) ?? []) {
      if (response.socket !== null) continue
      if (response.writableEnded) response.emit('close')
      else lose(response)
    }
    this.#queued.delete(socket)
  }

  #queue(response: ServerResponse): void {
    const { socket } = response.req
    const queued = this.#queued.get(socket) ?? new Set()
    this.#queued.set(socket, queued.add(response))
    response.once('close', () => {
      queued.delete(response)
      if (queued.size === 0 && this.#queued.get(socket) === queued) this.#queued.delete(socket)
    })
  }
}

/**
 * Lets an answer meet the end of its connection. One that is whole would be taken for sent, and out of its turn; one that
 * is ended later would be, too, and Node.js ends the process when it finds it in the place of another.
 */
function lose(response: ServerResponse): void {
  const gone = new Socket().on('error', () => {})
  gone.destroy()
  response.removeAllListeners('finish')
  response.assignSocket(gone)
}
