import { X509Certificate } from 'node:crypto'
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Appliance } from '../appliance.ts'
import { denials } from '../errors.ts'
import { SESSION_STATES, type SessionStatus } from '../session/session.ts'
import { durationSeries } from './histogram.ts'
import { type MetricsParts, NO_APPLIANCE } from './metrics.ts'
import type { Tally } from './tally.ts'

/** Gauges of prom-client whose names say that they are counters; whoever reads them that way is misled. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total']

type Labels = Record<string, string>
type Add = (labels: Labels, value: number) => void

/** The series as they are called and described, filled at each scrape with what was counted and with what is. */
export class Exposition {
  readonly #parts: MetricsParts
  readonly #registry = new Registry()
  #tallies: ReadonlyMap<string, Tally> = new Map()
  #statuses: readonly (readonly [Appliance, SessionStatus])[] = []

  constructor(parts: MetricsParts) {
    this.#parts = parts
    this.#requests()
    this.#failures()
    this.#sessions()
    this.#certificates()
    this.#gauge('build_info', 'Version of the proxy and of Node.js.', ['version', 'node_version'], add =>
      add({ version: parts.version, node_version: process.version }, 1),
    )
    collectDefaultMetrics({ register: this.#registry })
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name)
  }

  async page(tallies: ReadonlyMap<string, Tally>): Promise<{ type: string; text: string }> {
    this.#tallies = tallies
    this.#statuses = [...this.#parts.appliances().values()].map(appliance => [appliance, appliance.session.status()])
    const text = `${await this.#registry.metrics()}\n${durationSeries(tallies)}`
    return { type: this.#registry.contentType, text }
  }

  #requests(): void {
    this.#counter(
      'requests_total',
      'Requests that have ended, by appliance, method, class of status, and who gave the answer.',
      ['appliance', 'method', 'status', 'source'],
      add =>
        this.#each((appliance, tally) => {
          for (const { method, status, source, times } of tally.requests()) {
            add({ appliance, method, status, source }, times)
          }
        }),
    )
    this.#gauge('requests_in_flight', 'Requests under way at an appliance.', ['appliance'], add => {
      for (const [{ name, admission }] of this.#statuses) add({ appliance: name }, admission.inFlight)
    })
    this.#plain('request_body_bytes_total', 'Bytes of the bodies of requests that have ended.', t => t.bytesUp)
    this.#plain('response_body_bytes_total', 'Bytes of the bodies of answers that have ended.', t => t.bytesDown)
    this.#plain('upstream_unauthorized_total', 'Answers of 401 by an appliance to a token.', t => t.rejections)
    this.#plain('replays_total', 'Requests sent again with a newer session after a 401.', t => t.replays)
    this.#counter('cache_requests_total', 'Requests by what the cache did for them.', ['appliance', 'result'], add =>
      this.#each((appliance, { cache }) => {
        for (const [result, times] of cache) add({ appliance, result }, times)
      }),
    )
  }

  #failures(): void {
    const split = (denied: boolean, label: string) => (add: Add) =>
      this.#each((appliance, { failures }) => {
        for (const [code, times] of failures) if (denials.has(code) === denied) add({ appliance, [label]: code }, times)
      })
    const answered = 'Requests that the proxy answered itself because of a failure, by its code.'
    this.#counter('failures_total', answered, ['appliance', 'code'], split(false, 'code'))
    const denied = 'Requests that the guard or a rule denied, by the rule.'
    this.#counter('denials_total', denied, ['appliance', 'rule'], split(true, 'rule'))
  }

  #sessions(): void {
    const each = (value: (status: SessionStatus) => number | undefined) => (add: Add) => {
      for (const [{ name }, status] of this.#statuses) {
        const known = value(status)
        if (known !== undefined) add({ appliance: name }, known)
      }
    }
    this.#gauge(
      'session_state',
      '1 for the state that the session is in, 0 for all others.',
      ['appliance', 'state'],
      add => {
        for (const [{ name }, status] of this.#statuses) {
          for (const state of SESSION_STATES) add({ appliance: name, state }, state === status.state ? 1 : 0)
        }
      },
    )
    const expiry = 'When the session ends unless it is renewed, in seconds since 1970; absent without one.'
    this.#gauge(
      'session_expiry_timestamp_seconds',
      expiry,
      ['appliance'],
      each(({ expiresAt }) => seconds(expiresAt)),
    )
    const renewal = 'When the next renewal or sign-in is due, in seconds since 1970; absent where none is.'
    this.#gauge(
      'session_renewal_timestamp_seconds',
      renewal,
      ['appliance'],
      each(({ renewsAt }) => seconds(renewsAt)),
    )
    const failures = 'Attempts to get or renew the session that failed alike since one succeeded.'
    this.#gauge(
      'session_failures',
      failures,
      ['appliance'],
      each(({ lastError }) => lastError?.times ?? 0),
    )
    const grants = 'Grants put to an appliance, by kind, result, and reason of a failure.'
    this.#counter('grants_total', grants, ['appliance', 'grant', 'result', 'reason'], add =>
      this.#each((appliance, tally) => {
        for (const { times, ...labels } of tally.grants.values()) add({ appliance, ...labels }, times)
      }),
    )
    const info = 'Product of an appliance, and how its certificate is checked.'
    this.#gauge('appliance_info', info, ['appliance', 'product', 'trust'], add => {
      for (const [{ name, product, trust }] of this.#statuses) add({ appliance: name, product: product.name, trust }, 1)
    })
  }

  #certificates(): void {
    const upstream = 'When the certificate that an appliance showed last expires, in seconds since 1970.'
    this.#gauge('upstream_certificate_expiry_timestamp_seconds', upstream, ['appliance'], add => {
      for (const [{ name, certificate }] of this.#statuses) {
        if (certificate !== undefined) add({ appliance: name }, certificate.validTo / 1000)
      }
    })
    const own = 'When the certificate that callers are shown expires, in seconds since 1970.'
    this.#gauge('listener_certificate_expiry_timestamp_seconds', own, [], add => {
      const shown = this.#parts.listenerCertificate()
      if (shown !== undefined) add({}, Date.parse(new X509Certificate(shown).validTo) / 1000)
    })
  }

  #each(see: (appliance: string, tally: Tally) => unknown): void {
    for (const [appliance, tally] of this.#tallies) see(appliance, tally)
  }

  #plain(name: string, help: string, value: (tally: Tally) => number): void {
    this.#counter(name, help, ['appliance'], add =>
      this.#each((appliance, tally) => appliance !== NO_APPLIANCE && add({ appliance }, value(tally))),
    )
  }

  #counter(name: string, help: string, labelNames: string[], fill: (add: Add) => void): void {
    const counter: Counter = new Counter({
      ...this.#called(name, help, labelNames),
      collect() {
        counter.reset()
        fill((labels, value) => counter.inc(labels, value))
      },
    })
  }

  #gauge(name: string, help: string, labelNames: string[], fill: (add: Add) => void): void {
    const gauge: Gauge = new Gauge({
      ...this.#called(name, help, labelNames),
      collect() {
        gauge.reset()
        // Without labels a reset leaves a 0 behind, and a time of 0 would be an alert.
        if (labelNames.length === 0) gauge.remove()
        fill((labels, value) => gauge.set(labels, value))
      },
    })
  }

  #called(name: string, help: string, labelNames: string[]) {
    return { name: `veeam_auth_proxy_${name}`, help, labelNames, registers: [this.#registry] }
  }
}

function seconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1000
}
