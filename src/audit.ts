import { pino } from 'pino'
import { denials } from './errors.ts'
import type { Account, EndedRequest } from './proxy/account.ts'
import type { Redactor } from './redactor.ts'
import type { SessionEvent } from './session/session.ts'

/** One line: who did what, and what was decided. Holds no query, no body and no secret. */
export type AuditEntry = Readonly<Record<string, string | number | boolean | null | undefined>> & { event: string }

type Destination = ReturnType<typeof pino.destination>

/** An append-only record, one JSON object a line, for those who have to answer later who did what. */
export class Audit {
  readonly #destination: Destination
  readonly #redactor: Redactor
  readonly #isFile: boolean

  private constructor(destination: Destination, redactor: Redactor, isFile: boolean) {
    this.#destination = destination
    this.#redactor = redactor
    this.#isFile = isFile
  }

  /**
   * @param path of a file, made with mode 0600 if it is missing; or `stdout`
   * @throws the system's error when the file cannot be opened
   */
  static open(path: string, redactor: Redactor): Promise<Audit> {
    const destination = pino.destination({
      dest: path === 'stdout' ? 1 : path,
      append: true,
      mkdir: true,
      mode: 0o600,
      sync: false,
    })
    return new Promise((resolve, reject) => {
      destination.once('ready', () => resolve(new Audit(destination, redactor, path !== 'stdout')))
      destination.once('error', reject)
    })
  }

  request(account: Account, { method, status, id }: EndedRequest): void {
    const { caller, appliance, path, failure, emulated, fromUpstream, bytesUp, bytesDown, duration } = account
    const allowed = emulated === undefined ? 'allowed' : `emulated: ${emulated}`
    this.write({
      event: 'request',
      id,
      caller: caller?.name ?? null,
      appliance: appliance ?? null,
      method,
      path: path.split('?', 1)[0] ?? '',
      status,
      decision: failure !== undefined && denials.has(failure) ? `denied: ${failure}` : allowed,
      source: fromUpstream ? 'upstream' : 'proxy',
      bytesUp,
      bytesDown,
      milliseconds: Math.round(duration * 10) / 10,
    })
  }

  session(appliance: string, event: SessionEvent): void {
    switch (event.type) {
      case 'granted':
        return this.write({
          event: event.renewal ? 'renewal' : 'sign-in',
          appliance,
          grant: event.grant,
          accepted: true,
        })
      case 'failed': {
        const { grant, failure } = event
        return this.write({ event: 'sign-in', appliance, grant, accepted: false, failure: failure.code })
      }
      case 'signed-out':
        return this.write({ event: 'sign-out', appliance })
    }
  }

  write(entry: AuditEntry): void {
    const line = JSON.stringify({ time: new Date().toISOString(), ...entry })
    this.#destination.write(`${this.#redactor.clean(line)}\n`)
  }

  /** Goes on in a new file of the same name, after the old one was moved away. */
  reopen(): void {
    if (this.#isFile) this.#destination.reopen()
  }

  /** Everything written is on its way to the disk. */
  close(): Promise<void> {
    return new Promise(resolve => {
      this.#destination.once('close', resolve)
      this.#destination.end()
    })
  }
}
