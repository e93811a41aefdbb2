import type { Appliance } from '../appliance.ts'
import type { SessionEvent } from '../session/session.ts'
import type { Exposition } from './exposition.ts'
import { type Counted, Tally } from './tally.ts'

/** Stands where a request is for no appliance: its own pages, and what it refused before. No appliance is called so. */
export const NO_APPLIANCE = '-'

export interface MetricsParts {
  version: string
  appliances: () => ReadonlyMap<string, Appliance>
  /** PEM text of the certificate that callers are shown, where there is one. */
  listenerCertificate: () => string | undefined
}

/** What was counted since the start, for whoever scrapes it. */
export class Metrics {
  readonly #parts: MetricsParts
  readonly #tallies = new Map<string, Tally>()
  #exposition: Promise<Exposition> | undefined

  constructor(parts: MetricsParts) {
    this.#parts = parts
  }

  request(account: Counted & { appliance: string | undefined }, request: { method: string; status: number }): void {
    this.#of(account.appliance ?? NO_APPLIANCE).request(request.method, request.status, account)
  }

  session(appliance: string, event: SessionEvent): void {
    if (event.type === 'granted') this.#of(appliance).grant(event.grant, 'granted', 'none')
    if (event.type === 'failed') this.#of(appliance).grant(event.grant, 'failed', event.failure.code)
  }

  /** In the text format of Prometheus, version 0.0.4. Appliances that are gone are forgotten. */
  async page(): Promise<{ type: string; text: string }> {
    // Loaded when first asked for: most who run a proxy for themselves never do, and it takes a tenth of the memory.
    this.#exposition ??= import('./exposition.ts').then(({ Exposition }) => new Exposition(this.#parts))
    const exposition = await this.#exposition
    const appliances = this.#parts.appliances()
    for (const name of this.#tallies.keys()) {
      if (name !== NO_APPLIANCE && !appliances.has(name)) this.#tallies.delete(name)
    }
    for (const name of appliances.keys()) this.#of(name)
    return exposition.page(this.#tallies)
  }

  #of(appliance: string): Tally {
    let tally = this.#tallies.get(appliance)
    if (tally === undefined) {
      tally = new Tally()
      this.#tallies.set(appliance, tally)
    }
    return tally
  }
}
