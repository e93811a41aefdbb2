import type { Command } from './command.ts'
import { print } from './command.ts'
import { locating } from './locating.ts'
import { withProgress } from './progress.ts'

interface Verb {
  /** Of the command, and of the path under the appliance. */
  name: string
  summary: string
  /** What is under way, such as `Signing in to tenant`. */
  doing: (appliance: string) => string
  /** What came of it. */
  done: (appliance: string, state: string) => string
}

/** A command that has the running proxy do one thing with the session at one appliance. */
export function sessionVerb({ name: verb, summary, doing, done }: Verb): Command {
  return {
    name: verb,
    args: '<name>',
    summary,
    example: `veeam-auth-proxy ${verb} tenant`,
    options: locating,
    async run(call) {
      const [name = ''] = call.args
      const [{ proxyAt }, { askProxy, SIGN_IN, stateIn }] = await Promise.all([
        import('./proxy-address.ts'),
        import('./proxy-request.ts'),
      ])
      const path = `/-/appliances/${encodeURIComponent(name)}/${verb}`
      const key = call.io.env.PROXY_KEY
      const proxy = await proxyAt(call)
      const asked = askProxy({ ...proxy, method: 'POST', path, appliance: name, key, timeout: SIGN_IN })
      const answer = await withProgress(call.io, doing(name), asked)
      print(call.io.stdout, `${name}: ${done(name, stateIn(answer))}`)
      return 0
    },
  }
}
