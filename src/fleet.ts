import type { Logger } from 'pino'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { Appliance } from './appliance.ts'
import type { ApplianceConfiguration } from './config/configuration.ts'
import type { Redactor } from './redactor.ts'
import type { Clock } from './session/clock.ts'
import { withoutSession } from './session/kept.ts'
import { lanes } from './session/lanes.ts'
import type { SessionEvent } from './session/session.ts'
import type { StateDirectory } from './state/store.ts'

/** How long signing out may take, in milliseconds: an appliance that is gone must not hold the process. */
const SIGN_OUT_TIMEOUT = 5_000

export interface FleetParts {
  log: Logger
  clock: Clock
  redactor: Redactor
  state: StateDirectory | undefined
  onEvent?: (appliance: string, event: SessionEvent) => void
}

/** All appliances of one configuration, and the way from one configuration to the next. */
export class Fleet {
  readonly #parts: FleetParts
  readonly #gate = lanes()
  readonly #appliances = new Map<string, Appliance>()
  /** Sign-outs under way of appliances that are no longer in the configuration. */
  readonly #leaving = new Set<Promise<void>>()

  constructor(parts: FleetParts) {
    this.#parts = parts
  }

  /** By name. Stays the same object: whoever holds it sees each new configuration. */
  get appliances(): ReadonlyMap<string, Appliance> {
    return this.#appliances
  }

  /**
   * Makes a configuration the one in force, in one step. Appliances that mean the same session keep it; new ones sign
   * in; removed ones sign out once their requests are done.
   */
  apply(configurations: readonly ApplianceConfiguration[]): void {
    const next = new Map<string, Appliance>()
    const started: Appliance[] = []
    for (const configuration of configurations) {
      const known = this.#appliances.get(configuration.name)
      if (known?.hasSessionOf(configuration)) {
        known.reconfigure(configuration)
        known.session.secretChanged()
        next.set(configuration.name, known)
        continue
      }
      const appliance = this.#open(configuration, known)
      next.set(configuration.name, appliance)
      started.push(appliance)
    }
    const left = [...this.#appliances.values()].filter(appliance => next.get(appliance.name) !== appliance)
    this.#appliances.clear()
    for (const [name, appliance] of next) this.#appliances.set(name, appliance)
    for (const { session } of started) session.start()
    for (const appliance of left) this.#leave(appliance)
  }

  /** Ends every session: kept ones stay at their appliances for the next process, others are signed out. */
  async close(): Promise<void> {
    const all = [...this.#appliances.values()]
    const endings = this.#parts.state === undefined ? all.map(({ session }) => session.signOut()) : []
    // One for both: what hangs at the one would hang at the other, and the process is cut short when both take theirs.
    const enough = new Promise(resolve => setTimeout(resolve, SIGN_OUT_TIMEOUT).unref())
    await Promise.race([Promise.all([...endings, ...this.#leaving]), enough])
    await Promise.race([Promise.all(all.map(appliance => appliance.destroy())), enough])
  }

  /** @param before the one of this name, whose sign-ins count for this one too where it is the same appliance */
  #open(configuration: ApplianceConfiguration, before: Appliance | undefined): Appliance {
    const { state, ...parts } = this.#parts
    const { name, url: origin, identity } = configuration
    const subject = { name, origin }
    const keep = state && {
      load: async () => ownValue(await state.load(subject), identity),
      // One that has left must not write over what its successor keeps.
      save: async (value: unknown) => {
        if (this.#appliances.get(name) === appliance) await state.save(subject, { identity, value })
      },
    }
    const appliance = new Appliance(configuration, {
      ...parts,
      gate: this.#gate,
      ...(keep === undefined ? {} : { keep }),
      ...(before?.origin === origin ? { attempts: before.session.attempts } : {}),
    })
    return appliance
  }

  #leave(appliance: Appliance): void {
    const { name, origin } = appliance
    const leaving = appliance
      .retire()
      .then(() => (this.#appliances.has(name) ? undefined : this.#parts.state?.remove({ name, origin })))
      .catch(err => this.#parts.log.warn({ err, appliance: name }, 'the state of a removed appliance stays behind'))
      .finally(() => this.#leaving.delete(leaving))
    this.#leaving.add(leaving)
  }
}

const Owned = Type.Object({ identity: Type.String(), value: Type.Unknown() })

/** What was kept under other credentials is no session of these; what they may not try again still counts. */
function ownValue(kept: unknown, identity: string): unknown {
  if (!Check(Owned, kept)) return undefined
  return kept.identity === identity ? kept.value : withoutSession(kept.value)
}
