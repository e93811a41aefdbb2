import { type Command, print } from './command.ts'
import { locating } from './locating.ts'
import { withProgress } from './progress.ts'
import { askFor } from './prompt.ts'

export const code: Command = {
  name: 'code',
  args: '<name> [code]',
  summary:
    'Give the running proxy the code that an appliance waits for; without it on the command line, it is asked for',
  example: 'veeam-auth-proxy code azure 123456',
  options: locating,
  async run(call) {
    const [name = '', given] = call.args
    const [{ proxyAt }, { askProxy, SIGN_IN, stateIn }] = await Promise.all([
      import('./proxy-address.ts'),
      import('./proxy-request.ts'),
    ])
    const proxy = await proxyAt(call)
    const typed = given ?? (await askFor(`Code for ${name}: `, call.io))
    const path = `/-/appliances/${encodeURIComponent(name)}/code`
    const key = call.io.env.PROXY_KEY
    const body = { code: typed }
    const asked = askProxy({ ...proxy, method: 'POST', path, body, appliance: name, key, timeout: SIGN_IN })
    const answer = await withProgress(call.io, `Signing in to ${name}`, asked)
    print(call.io.stdout, `${name}: the code was accepted; the session is ${stateIn(answer)}.`)
    return 0
  },
}
