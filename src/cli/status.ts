import { type Call, type Command, print } from './command.ts'
import { locating } from './locating.ts'
import { withProgress } from './progress.ts'

export const status: Command = {
  name: 'status',
  summary: 'Show the session at each appliance; exit code 0 only when every appliance has one',
  example: 'veeam-auth-proxy status --watch',
  options: [
    { flags: '--watch', description: 'show it anew whenever it changes, until interrupted' },
    { flags: '--json', description: 'print the answer of /-/status as it is; with --watch, each in one line' },
    { flags: '--live', description: 'ask only whether the proxy answers at all, for a container health check' },
    ...locating,
  ],
  async run(call) {
    const { options, io } = call
    const [{ proxyAt }, { askProxy, QUICK }] = await Promise.all([
      import('./proxy-address.ts'),
      import('./proxy-request.ts'),
    ])
    const proxy = await proxyAt(call)
    const ask = (path: string) => askProxy({ ...proxy, method: 'GET', path, key: io.env.PROXY_KEY, timeout: QUICK })
    if (options.live === true) {
      await ask('/-/livez')
      print(io.stdout, 'live')
      return 0
    }
    if (options.watch === true) return (await import('./status-watch.ts')).watch(() => ask('/-/status'), call)
    return show(await withProgress(io, `Asking ${proxy.url}`, ask('/-/status')), call)
  },
}

async function show(answer: unknown, { options, io }: Call): Promise<number> {
  const { appliancesIn, errorsIn, statusText } = await import('./status-text.ts')
  print(io.stdout, options.json === true ? JSON.stringify(answer, null, 2) : statusText(answer, io))
  if (io.quiet === true) for (const text of errorsIn(answer)) print(io.stderr, text)
  return appliancesIn(answer).every(({ expiresAt }) => expiresAt !== null) ? 0 : 1
}
