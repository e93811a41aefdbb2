import { pino } from 'pino'
import { denials } from './errors.ts'
import type { Account, EndedRequest } from './proxy/account.ts'
import { parameterNamesOf, pathOf } from './proxy/shown-path.ts'
import type { Redactor } from './redactor.ts'
import type { SessionEvent } from './session/session.ts'

/** One line: who did what, and what was decided. Holds no value of a query, no body and no secret. */
export type AuditEntry = Readonly<Record<string, string | number | boolean | null | undefined>> & { event: string }

type Destination = ReturnType<typeof pino.destination>

/** Where a person gives a code. */
const CODE = /^\/-\/appliances\/([^/]+)\/code$/

/** Bytes that wait for a disk that takes none; what is beyond is lost. */
const MOST_WAITING = 16_777_216
/** Milliseconds between two complaints about it. */
const SILENCE = 60_000

export interface AuditParts {
  redactor: Redactor
  /** Told when lines cannot be written, and when they can be again. */
  onTrouble: (message: string, details: Record<string, unknown>) => void
}

/** An append-only record, one JSON object a line, for those who have to answer later who did what. */
export class Audit {
  readonly #destination: Destination
  readonly #redactor: Redactor
  readonly #isFile: boolean
  #closed: Promise<void> | undefined

  private constructor(destination: Destination, { redactor, onTrouble }: AuditParts, isFile: boolean) {
    this.#destination = destination
    this.#redactor = redactor
    this.#isFile = isFile
    complain(destination, onTrouble)
  }

  /**
   * @param path of a file, made with mode 0600 if it is missing; or `stdout`
   * @throws the system's error when the file cannot be opened
   */
  static open(path: string, parts: AuditParts): Promise<Audit> {
    const destination = pino.destination({
      dest: path === 'stdout' ? 1 : path,
      append: true,
      mkdir: true,
      mode: 0o600,
      sync: false,
      maxLength: MOST_WAITING,
    })
    return new Promise((resolve, reject) => {
      destination.once('error', reject)
      destination.once('ready', () => {
        destination.off('error', reject)
        resolve(new Audit(destination, parts, path !== 'stdout'))
      })
    })
  }

  request(account: Account, { method, status, id }: EndedRequest): void {
    const { caller, appliance, path, failure, rule, emulated, fromUpstream, bytesUp, bytesDown, duration } = account
    const allowed = emulated === undefined ? 'allowed' : `emulated: ${emulated}`
    this.write({
      event: 'request',
      id,
      caller: caller?.name ?? null,
      appliance: appliance ?? null,
      method,
      path: pathOf(path),
      query: parameterNamesOf(path) || null,
      status,
      decision: failure !== undefined && denials.has(failure) ? `denied: ${failure}` : allowed,
      rule,
      source: fromUpstream ? 'upstream' : 'proxy',
      bytesUp,
      bytesDown,
      milliseconds: Math.round(duration * 10) / 10,
    })
    const [, name] = (method === 'POST' && appliance === undefined && CODE.exec(pathOf(path))) || []
    // A form is led back to its page whatever has come of it.
    const accepted = failure === undefined && status < 400
    if (name !== undefined) this.write({ event: 'code', id, caller: caller?.name ?? null, appliance: name, accepted })
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
    if (this.#closed !== undefined) return
    const line = JSON.stringify({ time: new Date().toISOString(), ...entry })
    this.#destination.write(`${this.#redactor.clean(line)}\n`)
  }

  /** Goes on in a new file of the same name, after the old one was moved away. */
  reopen(): void {
    if (!this.#isFile || this.#closed !== undefined) return
    const destination = this.#destination
    // A write under way that fails would take the wish with it.
    const again = () => this.#closed ?? destination.reopen()
    destination.once('error', again)
    destination.once('ready', () => destination.off('error', again))
    destination.reopen()
  }

  /** Everything written is on its way to the disk, as far as that takes it. */
  close(): Promise<void> {
    this.#closed ??= new Promise(resolve => {
      this.#destination.once('close', resolve)
      this.#destination.once('error', () => this.#destination.destroy())
      this.#destination.end()
    })
    return this.#closed
  }
}

/** A record that cannot be written ends nothing: it is told in the log, and what waits is tried again. */
function complain(destination: Destination, onTrouble: AuditParts['onTrouble']): void {
  let failures = 0
  let lost = 0
  let told = Number.NEGATIVE_INFINITY
  destination.on('error', (error: Error) => {
    failures += 1
    if (performance.now() - told < SILENCE) return
    told = performance.now()
    onTrouble('the audit log cannot be written', { reason: error.message, failures, lost })
  })
  destination.on('drop', () => {
    lost += 1
  })
  destination.on('write', () => {
    if (failures === 0) return
    onTrouble('the audit log is written again', { failures, lost })
    failures = 0
    lost = 0
    told = Number.NEGATIVE_INFINITY
  })
}
