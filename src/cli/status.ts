import { type Call, type Command, print } from './command.ts'
import { locating } from './locating.ts'
import type { ApplianceStatus } from './proxy-request.ts'
import { servedSentence, tableOf } from './table.ts'

export const status: Command = {
  name: 'status',
  summary: 'Show the session at each appliance; exit code 0 only when every appliance has one',
  example: 'veeam-auth-proxy status --json',
  options: [
    { flags: '--json', description: 'print the answer of /-/status as it is' },
    { flags: '--live', description: 'ask only whether the proxy answers at all, for a container health check' },
    ...locating,
  ],
  async run(call) {
    const [{ proxyUrl }, { askProxy, QUICK }] = await Promise.all([
      import('./proxy-address.ts'),
      import('./proxy-request.ts'),
    ])
    const url = await proxyUrl(call)
    if (call.options.live === true) {
      await askProxy({ url, method: 'GET', path: '/-/livez', key: call.io.env.PROXY_KEY, timeout: QUICK })
      print(call.io.stdout, 'live')
      return 0
    }
    return show(
      await askProxy({ url, method: 'GET', path: '/-/status', key: call.io.env.PROXY_KEY, timeout: QUICK }),
      call,
    )
  },
}

async function show(answer: unknown, { options, io }: Call): Promise<number> {
  const [{ default: Type }, { Check }, { ApplianceStatus }] = await Promise.all([
    import('typebox'),
    import('typebox/value'),
    import('./proxy-request.ts'),
  ])
  const appliances = Check(Type.Object({ appliances: Type.Array(ApplianceStatus) }), answer) ? answer.appliances : []
  if (options.json === true) {
    print(io.stdout, JSON.stringify(answer, null, 2))
  } else {
    const heading = ['appliance', 'product', 'state', 'grant', 'since', 'expires', 'renews']
    const rows = appliances.map(({ name, product, state, grant, since, expiresAt, renewsAt }) => {
      return [name, product, state, grant ?? '-', shortened(since), shortened(expiresAt), shortened(renewsAt)]
    })
    print(io.stdout, tableOf([heading, ...rows]))
    for (const line of appliances.flatMap(trustWarnings)) print(io.stdout, line)
    for (const { name, servedAt = [] } of appliances) {
      const sentence = servedSentence(name, servedAt)
      if (sentence !== undefined) print(io.stdout, `\n${sentence}`)
    }
    for (const { name, lastError } of appliances) {
      if (lastError === null) continue
      const times = lastError.times > 1 ? ` (${lastError.times} times)` : ''
      print(
        io.stdout,
        `\n${name}: ${lastError.code}${times}. ${lastError.detail}\n${lastError.remedy.replace('NAME', name)}.`,
      )
    }
  }
  return appliances.every(({ expiresAt }) => expiresAt !== null) ? 0 : 1
}

/** Days before the end of a certificate from which on somebody should know. */
const SOON = 30

function trustWarnings({ name, trust, certificate }: ApplianceStatus): string[] {
  const blind =
    trust === 'not verified'
      ? [
          `\n${name}: its certificate is not verified (tls.verify is false), so whoever stands between can take the password`,
        ]
      : []
  if (certificate === null || certificate.daysLeft > SOON) return blind
  const { daysLeft, validTo } = certificate
  const when =
    daysLeft < 0 ? `has ended on ${shortened(validTo)}` : `ends in ${daysLeft} days, on ${shortened(validTo)}`
  return [...blind, `\n${name}: its certificate ${when}.`]
}

/** Without fractions of a second. */
function shortened(time: string | null): string {
  return time === null ? '-' : time.replace(/\.\d+/, '')
}
