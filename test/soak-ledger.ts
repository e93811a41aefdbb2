/** From when to when something was broken on purpose, and what callers may have seen of it. */
export interface Window {
  /** Name of the appliance; undefined where all are concerned. */
  appliance: string | undefined
  kind: string
  may: RegExp
  /** performance.now() */
  from: number
  to: number
}

export interface Failed {
  appliance: string
  operation: string
  /** What the caller saw: `broken`, `wrong content`, `401`, `503 NOT_SIGNED_IN` … */
  outcome: string
  /** performance.now() */
  from: number
}

/** Keeps account of requests and faults, and finds the fault that explains a failure. */
export class Ledger {
  readonly requests = new Map<string, number>()
  readonly faults = new Map<string, number>()
  /** Errors of callers by the fault that explains them, and what they saw. */
  readonly explained = new Map<string, Map<string, number>>()
  readonly unexplained: string[] = []
  /** By kind, in milliseconds from the end of the fault. */
  readonly recoveries = new Map<string, number>()
  #windows: Window[] = []

  open(kind: string, may: RegExp, appliance: string | undefined, from = performance.now()): Window {
    const window = { appliance, kind, may, from, to: Number.POSITIVE_INFINITY }
    this.#windows.push(window)
    add(this.faults, kind)
    return window
  }

  /** @param recovery milliseconds from the end of the fault until all was well again */
  close(window: Window, recovery: number): void {
    window.to = performance.now()
    this.recoveries.set(window.kind, Math.max(recovery, this.recoveries.get(window.kind) ?? 0))
    // No request takes that long.
    this.#windows = this.#windows.filter(({ to }) => to > performance.now() - 120_000)
  }

  served(operation: string): void {
    add(this.requests, operation)
  }

  failed({ appliance, operation, outcome, from }: Failed): void {
    add(this.requests, operation)
    const at = this.#windows.filter(window => window.appliance === undefined || window.appliance === appliance)
    const open = at.filter(window => window.to >= from)
    const reason = open.find(({ may }) => may.test(outcome))
    if (reason === undefined) {
      const under = open.length === 0 ? 'no fault' : open.map(({ kind }) => kind).join(', ')
      this.unexplained.push(`${operation} at ${appliance}: ${outcome}, under ${under}`)
      return
    }
    const seen = this.explained.get(reason.kind) ?? new Map<string, number>()
    this.explained.set(reason.kind, add(seen, outcome))
  }
}

export function add(counts: Map<string, number>, name: string, by = 1): Map<string, number> {
  return counts.set(name, (counts.get(name) ?? 0) + by)
}
