import { type Call, type Command, CommandError, print, textOf, UsageError } from './command.ts'
import { locating } from './locating.ts'
import { withProgress } from './progress.ts'

/** Milliseconds between two looks. */
const PAUSE = 200

const pages: Readonly<Record<string, string>> = { live: '/-/livez', ready: '/-/readyz' }

export const wait: Command = {
  name: 'wait',
  summary: 'Wait until the proxy answers (live), or until there is a session at every appliance (ready)',
  example: 'veeam-auth-proxy wait --for ready --timeout 30s',
  options: [
    { flags: '--for <state>', description: 'what to wait for', fallback: 'ready', choices: Object.keys(pages) },
    { flags: '--timeout <time>', description: 'how long, such as 500ms, 30s or 5m', fallback: '30s' },
    ...locating,
  ],
  async run(call) {
    const { options, io } = call
    const state = String(options.for)
    const { millisecondsOf, isDuration } = await import('../config/duration.ts')
    const timeout = textOf(options.timeout)
    if (!isDuration(timeout)) throw new UsageError(`--timeout ${timeout} is not a time. Write it as 500ms, 30s or 5m.`)
    await withProgress(io, `Waiting for the proxy to be ${state}`, until(state, millisecondsOf(timeout, timeout), call))
    print(io.stdout, state)
    return 0
  },
}

/** @throws CommandError that says what is missing when the time is over */
async function until(state: string, timeout: number, call: Call): Promise<void> {
  const [{ proxyAt }, { exchange, NoProxyError, QUICK, refusal }] = await Promise.all([
    import('./proxy-address.ts'),
    import('./proxy-request.ts'),
  ])
  const proxy = await proxyAt(call)
  const end = performance.now() + timeout
  const asked = { ...proxy, method: 'GET', path: pages[state] ?? '', key: call.io.env.PROXY_KEY } as const
  while (true) {
    const left = Math.max(1, Math.round(end - performance.now()))
    const answer = await exchange({ ...asked, timeout: Math.min(left, QUICK) }).catch((error: unknown) => {
      if (error instanceof NoProxyError) return error
      throw error
    })
    if (!(answer instanceof NoProxyError)) {
      if (answer.status === 200) return
      if (answer.status !== 503) throw refusal(proxy.url, answer.content)
    }
    if (performance.now() + PAUSE >= end) {
      const lack = answer instanceof NoProxyError ? answer.message : await lackIn(answer.content)
      throw new CommandError(`Not ${state} within ${timeout / 1000} s. ${lack}`)
    }
    await new Promise(resolve => setTimeout(resolve, PAUSE))
  }
}

/** What a proxy says that is not ready. */
async function lackIn(content: unknown): Promise<string> {
  const [{ default: Type }, { Check }] = await Promise.all([import('typebox'), import('typebox/value')])
  const NotReady = Type.Object({ status: Type.String(), missing: Type.Array(Type.String()) })
  const { status, missing } = Check(NotReady, content) ? content : { status: 'not ready', missing: [] }
  if (missing.length === 0) return `The proxy says: ${status}.`
  return `There is no session at: ${missing.join(', ')}. See: veeam-auth-proxy status`
}
