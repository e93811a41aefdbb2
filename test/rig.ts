import { pino } from 'pino'
import { type ApplianceConfiguration, type Configuration, openGuard } from '../src/config/configuration.ts'
import { Secret } from '../src/config/secret.ts'
import { products } from '../src/dialects/index.ts'
import { defaultLimits } from '../src/listen/limits.ts'
import { createLog } from '../src/log.ts'
import { Redactor } from '../src/redactor.ts'
import { ProxyServer, type ServerParts } from '../src/server.ts'
import type { SessionEvent } from '../src/session/session.ts'
import {
  type Certificate,
  createCertificate,
  defaultPassword,
  defaultUsername,
  type Simulator,
  type SimulatorOptions,
  startSimulator,
} from '../src/simulator/index.ts'

/** What tests close over: only the part of a test's context that the rig needs. */
export interface Context {
  after(fn: () => unknown): void
}

export function secret(value: string): Secret {
  return Secret.from(value, { directory: '/', env: {} })
}

export type Overrides = Partial<Omit<ApplianceConfiguration, 'product'>>

/** The configuration of an appliance whose certificate is trusted by `ca`, with the simulator's own credentials. */
export function applianceAt(
  simulator: { url: string; certificate: string },
  product: string,
  overrides: Overrides = {},
): ApplianceConfiguration {
  const found = products.find(({ name }) => name === product)
  if (found === undefined) throw new Error(`no product ${product}`)
  return {
    name: 'box',
    product: found,
    url: simulator.url,
    options: defaultOptions(product),
    credentials: { type: 'password', username: defaultUsername, password: secret(defaultPassword) },
    tls: { verify: true, ca: simulator.certificate },
    timeouts: { connect: 10_000, firstByte: 60_000, idle: 300_000 },
    maxInFlight: 256,
    maxBody: undefined,
    rewriteLinks: true,
    cache: undefined,
    access: { rule: {}, credentials: false },
    listen: [],
    files: [],
    identity: `${product} ${simulator.url}`,
    ...overrides,
  }
}

export function defaultOptions(product: string): Record<string, unknown> {
  if (product === 'microsoft365') return { apiVersion: 'v8', antiforgery: 'cookies' }
  if (product === 'google-cloud') return { apiVersion: '1.4-rev0', shortTermRefresh: false }
  return {}
}

/** A proxy on a free port, closed with the test. `lines` collects its log. */
export async function startProxy(
  t: Context,
  appliances: readonly ApplianceConfiguration[],
  {
    mount = 'prefix',
    state,
    guard = {},
    audit,
    limits = defaultLimits,
    tracing,
    ...parts
  }: Partial<ServerParts> &
    Partial<Pick<Configuration, 'mount' | 'state' | 'audit' | 'limits' | 'tracing'>> & {
      guard?: Partial<Configuration['guard']>
    } = {},
) {
  const redactor = parts.redactor ?? new Redactor()
  const lines: string[] = []
  const events: { appliance: string; event: SessionEvent }[] = []
  const log = parts.log ?? createLog('trace', redactor, { write: line => lines.push(line) })
  const configuration: Configuration = {
    listen: { address: { host: '127.0.0.1', port: 0 }, files: [] },
    limits,
    appliances,
    mount,
    source: 'test',
    shutdownTimeout: 10_000,
    warnings: [],
    guard: { ...openGuard, ...guard },
    ...(state === undefined ? {} : { state }),
    ...(audit === undefined ? {} : { audit }),
    ...(tracing === undefined ? {} : { tracing }),
  }
  const server = await ProxyServer.start(configuration, {
    version: '0.0.0-test',
    load: async () => configuration,
    onEvent: (appliance, event) => events.push({ appliance, event }),
    ...parts,
    log,
    redactor,
  })
  t.after(() => server.close(500))
  return { server, url: server.url, lines, events, redactor }
}

let shared: Promise<Certificate> | undefined

/** A certificate for localhost that the tests of one file share: making one takes a good part of a second. */
export function sharedCertificate(): Promise<Certificate> {
  shared ??= createCertificate()
  return shared
}

/** A simulated appliance that ends with the test. */
export async function simulate(t: Context, options: SimulatorOptions): Promise<Simulator> {
  const simulator = await startSimulator({ certificate: await sharedCertificate(), ...options })
  t.after(() => simulator.close())
  return simulator
}

/** One simulated appliance called `box`, and a proxy in front of it. */
export async function startBox(
  t: Context,
  options: SimulatorOptions,
  overrides: Overrides = {},
  parts: Parameters<typeof startProxy>[2] = {},
) {
  const simulator = await simulate(t, options)
  const proxy = await startProxy(t, [applianceAt(simulator, options.product, overrides)], parts)
  return { simulator, ...proxy }
}

/** Waits until a condition holds; fails after the bound, which is generous on purpose. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>, bound = 15_000): Promise<void> {
  const end = Date.now() + bound
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${bound} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

export const silent = pino({ level: 'silent' })
