import type { Logger } from 'pino'
import type { SessionEvent } from './session/session.ts'
import { isWorthTelling } from './worth-telling.ts'

/** One line for each thing that happens to a session; the same failure again is counted, and told of ever less often. */
export class SessionLog {
  readonly #log: Logger
  readonly #appliance: string
  /** Since the last session was brought, by their code. */
  readonly #failures = new Map<string, number>()
  #rejections = 0
  #rejected = false
  #notKept = 0

  constructor(log: Logger, appliance: string) {
    this.#log = log
    this.#appliance = appliance
  }

  tell(event: SessionEvent): void {
    switch (event.type) {
      case 'granted':
        return this.#granted(event)
      case 'restored':
        return this.#info({ lifeSeconds: Math.round(event.life / 1000) }, 'session taken up from the state directory')
      case 'failed':
        return this.#failed(event)
      case 'rejected':
        this.#rejected = true
        this.#rejections += 1
        if (!isWorthTelling(this.#rejections)) return
        return this.#warn({ repeated: this.#rejections }, 'the appliance rejected the session; renewing it')
      case 'clock-jumped':
        return this.#warn({ seconds: Math.round(event.by / 1000) }, 'the clock was set, or the machine slept')
      case 'not-kept':
        this.#notKept += 1
        if (!isWorthTelling(this.#notKept)) return
        return this.#warn(
          { reason: event.reason, repeated: this.#notKept },
          'the session could not be kept in the state directory',
        )
      case 'signed-out':
        return this.#info({}, 'signed out')
    }
  }

  #granted({ grant, life, renewsAt, renewal, apiVersion }: SessionEvent & { type: 'granted' }): void {
    const failures = [...this.#failures.values()].reduce((sum, times) => sum + times, 0)
    this.#failures.clear()
    // An appliance that rejects every session is renewed at each time; only one that lives its life ends the count.
    if (!this.#rejected) this.#rejections = 0
    this.#rejected = false
    this.#info(
      {
        grant,
        lifeSeconds: Math.round(life / 1000),
        renewsAt: new Date(renewsAt).toISOString(),
        apiVersion,
        ...(failures === 0 ? {} : { afterFailures: failures }),
      },
      renewal ? 'session renewed' : 'signed in',
    )
  }

  #failed({ failure, grant, retryIn }: SessionEvent & { type: 'failed' }): void {
    const repeated = (this.#failures.get(failure.code) ?? 0) + 1
    this.#failures.set(failure.code, repeated)
    if (!isWorthTelling(repeated)) return
    const retryInSeconds = retryIn === undefined ? undefined : Math.round(retryIn / 100) / 10
    this.#warn(
      { failure: failure.code, grant, repeated, retryInSeconds, detail: failure.message },
      'no session brought',
    )
  }

  // No child of the logger: it would not follow when the level is changed at run time.
  #info(details: object, message: string): void {
    this.#log.info({ appliance: this.#appliance, ...details }, message)
  }

  #warn(details: object, message: string): void {
    this.#log.warn({ appliance: this.#appliance, ...details }, message)
  }
}
