import { type Call, type Command, print, textOf, UsageError } from './command.ts'
import { onFreePort } from './on-free-port.ts'
import { withProgress } from './progress.ts'
import { untilStopped } from './until-stopped.ts'

/** Milliseconds for cutting the simulator's connections. */
const LONGEST_SHUTDOWN = 1_500

export const simulate: Command = {
  name: 'simulate',
  summary: 'Run a stand-in for one appliance, to develop and test against; for the loopback interface only',
  example: 'veeam-auth-proxy simulate --product azure --port 9443 --token-life 30',
  options: [
    { flags: '--product <product>', description: 'which product it stands in for' },
    { flags: '--host <host>', description: 'address to listen on', fallback: '127.0.0.1' },
    { flags: '--port <port>', description: 'port to listen on, 0 for any free one', fallback: '9443' },
    { flags: '--username <name>', description: 'account that may sign in' },
    { flags: '--password <password>', description: 'its password' },
    { flags: '--token-life <seconds>', description: 'life of an access token; as the product documents it by default' },
    { flags: '--mfa <secret>', description: 'turn MFA on, with this TOTP secret in base32' },
    { flags: '--latency <ms>', description: 'wait before each answer' },
    { flags: '--error-rate <share>', description: 'share of the requests to answer 500, from 0 to 1' },
  ],
  async run({ options, io }) {
    const simulation = await import('../simulator/index.ts')
    const { defaultPassword, defaultUsername, simulatedProducts, startSimulator } = simulation
    const product = simulatedProducts.find(known => known === options.product)
    if (product === undefined) throw new UsageError(`--product is one of ${simulatedProducts.join(', ')}.`)
    const username = textOf(options.username) ?? defaultUsername
    const password = textOf(options.password) ?? defaultPassword
    const totpSecret = secretIn(options)
    const settings = {
      product,
      username,
      password,
      host: textOf(options.host) ?? '127.0.0.1',
      port: numberIn(options, 'port', 65_535) ?? 0,
      ...defined('tokenLife', numberIn(options, 'tokenLife')),
      ...defined('latency', numberIn(options, 'latency')),
      ...defined('errorRate', numberIn(options, 'errorRate', 1)),
      ...defined('totpSecret', totpSecret),
    }
    const starting = onFreePort('Choose another with --port.', () => startSimulator(settings))
    const simulator = await withProgress(io, 'Making a certificate', starting)
    const stopped = untilStopped(io, {
      delay: LONGEST_SHUTDOWN,
      logger: { error: word => print(io.stderr, String(word)) },
      close: () => simulator.close(),
    })
    print(
      io.stdout,
      `A simulated ${product} at ${simulator.url}

  user name    ${username}
  password     ${password}
  SHA-256      ${simulator.fingerprint}

For appliances.yaml:

appliances:
  ${product}:
    product: ${product}
    url: ${simulator.url}
    credentials:
      username: ${JSON.stringify(username)}
      password: ${JSON.stringify(password)}${totpSecret === undefined ? '' : `\n      totp: ${totpSecret}`}
    tls: { fingerprint: "${simulator.fingerprint}" }
`,
    )
    return stopped
  },
}

function secretIn({ mfa }: Call['options']): string | undefined {
  const secret = textOf(mfa)?.toUpperCase()
  if (secret === undefined || /^[A-Z2-7]{16,}$/.test(secret)) return secret
  throw new UsageError('--mfa is a TOTP secret in base32: at least 16 letters A to Z and digits 2 to 7.')
}

/** @throws UsageError */
function numberIn(options: Call['options'], key: string, most = Number.MAX_SAFE_INTEGER): number | undefined {
  const text = textOf(options[key])
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d*\.?\d+$/.test(text) && number <= most) return number
  const flag = key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
  throw new UsageError(`--${flag} ${text} is not a number${most > 65_535 ? '' : ` from 0 to ${most}`}.`)
}

/** Nothing to spread where there is no value. */
function defined<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } | Record<never, never> {
  return value === undefined ? {} : { [key]: value }
}
