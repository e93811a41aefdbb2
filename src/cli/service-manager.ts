import { execFile } from 'node:child_process'
import type { Logger } from 'pino'
import { messageOf } from '../errors.ts'
import type { Io } from './command.ts'

/** How often the watchdog is fed within the time that it waits: sd_watchdog_enabled(3) advises half of it. */
const FEEDINGS = 2
/** Milliseconds; systemd-notify itself waits up to 5 s until its message was read. */
const LONGEST_NOTE = 10_000

/** Tells systemd, or whatever set NOTIFY_SOCKET, how the process is doing: sd_notify(3). */
export class ServiceManager {
  readonly #env: Io['env']
  readonly #log: Logger
  #last: Promise<void> = Promise.resolve()
  #feeding: NodeJS.Timeout | undefined
  #failed = false

  constructor(env: Io['env'], log: Logger) {
    this.#env = env
    this.#log = log
  }

  /** Listening; from now on the watchdog is fed, and a process that hangs is started anew. */
  ready(status: string): void {
    void this.#tell('READY=1', `STATUS=${status}`)
    const { WATCHDOG_USEC, WATCHDOG_PID } = this.#env
    const isOurs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid)
    const patience = isOurs ? Number(WATCHDOG_USEC) / 1000 : 0
    if (!(patience > 0)) return
    this.#feeding = setInterval(() => void this.#tell('WATCHDOG=1'), patience / FEEDINGS).unref()
  }

  /** Around a reload: until it is over, systemd counts the service as reloading. */
  async reloading(work: () => Promise<unknown>): Promise<void> {
    // The time by which it tells the message from an older one.
    void this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
    const status = await work().then(
      () => 'configuration reloaded',
      () => 'the new configuration was refused; the old one runs on',
    )
    await this.#tell('READY=1', `STATUS=${status}`)
  }

  stopping(): Promise<void> {
    clearInterval(this.#feeding)
    return this.#tell('STOPPING=1', 'STATUS=shutting down')
  }

  /**
   * By the program of systemd: Node.js has no datagram sockets of the Unix family. One after the other, as the order
   * counts. A message that cannot be sent is logged once, and is nothing to end of.
   */
  #tell(...assignments: string[]): Promise<void> {
    const { PATH, NOTIFY_SOCKET } = this.#env
    this.#last = this.#last.then(
      () =>
        new Promise(resolve => {
          const options = { env: { PATH, NOTIFY_SOCKET }, timeout: LONGEST_NOTE }
          execFile('systemd-notify', assignments, options, error => {
            if (error !== null && !this.#failed) {
              this.#failed = true
              this.#log.warn({ reason: messageOf(error) }, 'systemd-notify failed: systemd does not learn of the state')
            }
            resolve()
          })
        }),
    )
    return this.#last
  }
}
