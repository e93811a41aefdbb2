import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { ApplianceConfiguration } from '../config/configuration.ts'
import { packageFile } from '../package-file.ts'
import type { SessionEvent } from '../session/session.ts'
import { type Command, type Io, print, textOf, UsageError } from './command.ts'
import { onFreePort } from './on-free-port.ts'
import { withProgress } from './progress.ts'
import { untilStopped } from './until-stopped.ts'
import { version } from './version.ts'

/** Milliseconds that requests in flight are given at the end, and that the whole end may take. */
const GRACE = 500
const LONGEST_SHUTDOWN = 1_500

/** What to try at each appliance of config/demo.yaml. */
const samples: Readonly<Record<string, string>> = {
  azure: '/api/v8.1/policies?limit=2',
  tenant: '/v8/Jobs?limit=2',
  gcp: '/api/v1/policies?$limit=2',
}

export const demo: Command = {
  name: 'demo',
  summary: 'Run three simulated appliances and the proxy in front of them, to try it without an appliance',
  example: 'veeam-auth-proxy demo --port 8081',
  options: [
    { flags: '--port <port>', description: 'port of the proxy (PORT; default as in config/demo.yaml)' },
    { flags: '--token-life <seconds>', description: 'life of the access tokens', fallback: '10' },
  ],
  async run({ options, io }) {
    const [{ loadConfiguration }, { readSettings }, { logTo }, { Redactor }, { ProxyServer }] = await Promise.all([
      import('../config/load.ts'),
      import('../config/env.ts'),
      import('./log-to.ts'),
      import('../redactor.ts'),
      import('../server.ts'),
    ])
    const tokenLife = Number(options.tokenLife)
    if (!(tokenLife > 0)) throw new UsageError(`--token-life ${options.tokenLife} is not a number of seconds.`)
    const { LOG_LEVEL } = io.env
    const config = fileURLToPath(packageFile('config/demo.yaml'))
    const configuration = await loadConfiguration(
      { config, port: textOf(options.port) },
      demoEnvironment(io.env),
      io.cwd,
    )
    const redactor = new Redactor()
    const log = logTo(
      io.quiet === true ? io.stderr : io.stdout,
      LOG_LEVEL ? (await readSettings({ LOG_LEVEL })).logLevel : 'error',
      redactor,
      io.env,
    )

    const started = simulateAll(configuration.appliances, tokenLife)
    const simulators = await withProgress(io, 'Starting the simulated appliances', started)
    const waited = new Set(simulators.appliances.map(({ name }) => name))
    let url = ''
    const onEvent = (name: string, event: SessionEvent) => {
      if (waited.size === 0 || event.type !== 'granted') return tell(name, event)
      if (waited.delete(name) && waited.size === 0) welcome()
    }
    const tell = (name: string, event: SessionEvent) => {
      const sentence = sentenceFor(event)
      if (sentence !== undefined) print(io.stdout, `${new Date().toTimeString().slice(0, 8)}  ${name}: ${sentence}`)
    }
    const welcome = () => {
      const lines = simulators.appliances.map(({ name }) => `  curl -s '${url}/${name}${samples[name] ?? '/'}'`)
      print(io.stdout, `The proxy listens on ${url}. Try in another terminal:\n\n${lines.join('\n')}\n`)
      print(io.stdout, `In a browser, ${url}/ shows how they are.`)
      print(io.stdout, `The tokens live ${tokenLife} s and are renewed before they expire. Ctrl-C ends the demo.\n`)
    }

    const remedy = 'Choose another port: npm run demo -- --port 8081'
    const server = await onFreePort(remedy, () =>
      ProxyServer.start(
        { ...configuration, appliances: simulators.appliances },
        { log, redactor, version: version(), onEvent },
      ),
    ).catch(async error => {
      await simulators.close()
      throw error
    })
    url = callable(server.url)
    return untilStopped(io, {
      delay: LONGEST_SHUTDOWN,
      logger: { error: word => print(io.stderr, String(word)) },
      async close() {
        await server.close(GRACE)
        await simulators.close()
      },
    })
  },
}

/** An address that means all of them, as in a container, is none to call: a published port is on the loopback. */
export function callable(url: string): string {
  return url.replace(/(?<=^http:\/\/)(?:0\.0\.0\.0|\[::\])(?=:)/, '127.0.0.1')
}

/** Where to listen is for the environment to say; the secrets of config/demo.yaml are made anew. */
export function demoEnvironment({ HOST, PORT, ALLOW_INSECURE_LISTEN }: Io['env']): Io['env'] {
  const secrets = { DEMO_PASSWORD: randomBytes(12).toString('base64url'), DEMO_TOTP: base32(20) }
  return { HOST, PORT, ALLOW_INSECURE_LISTEN, ...secrets }
}

/**
 * Starts a simulator for each appliance, which accepts the credentials that the configuration has.
 * @param tokenLife in seconds
 * @returns the appliances at the simulators' addresses, trusting their certificates
 */
async function simulateAll(configured: readonly ApplianceConfiguration[], tokenLife: number) {
  const started = await Promise.all(configured.map(appliance => simulateOne(appliance, tokenLife)))
  return {
    appliances: started.map(({ appliance }) => appliance),
    async close() {
      await Promise.all(started.map(({ simulator }) => simulator.close()))
    },
  }
}

async function simulateOne(appliance: ApplianceConfiguration, tokenLife: number) {
  const { simulatedProducts, startSimulator } = await import('../simulator/index.ts')
  const { product, credentials } = appliance
  const simulated = simulatedProducts.find(name => name === product.name)
  if (simulated === undefined || credentials.type !== 'password') {
    throw new UsageError(`The demo cannot simulate ${appliance.name}: it needs a known product and a password.`)
  }
  const simulator = await startSimulator({
    product: simulated,
    tokenLife,
    username: credentials.username,
    password: await credentials.password.reveal(),
    ...(credentials.totp === undefined ? {} : { totpSecret: await credentials.totp.reveal() }),
  })
  const tls = { verify: true, ca: simulator.certificate }
  return { simulator, appliance: { ...appliance, url: simulator.url, tls } }
}

function sentenceFor(event: SessionEvent): string | undefined {
  if (event.type === 'granted') {
    const next = Math.max(0, Math.round((event.renewsAt - Date.now()) / 100) / 10)
    return `session renewed with ${event.grant}, the next time in ${next} s`
  }
  if (event.type === 'failed') return `${event.failure.code}: ${event.failure.message}`
  return event.type === 'signed-out' ? 'signed out' : undefined
}

/** Random letters of base32 (RFC 4648, section 6): each byte gives five bits. */
function base32(length: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  return Array.from(randomBytes(length), byte => alphabet[byte % 32]).join('')
}
