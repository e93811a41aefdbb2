import { type Command, print } from './command.ts'
import { locating } from './locating.ts'
import { withProgress } from './progress.ts'

export const reload: Command = {
  name: 'reload',
  summary: 'Let the running proxy take up its configuration as it is now, whole or, with a mistake in it, not at all',
  example: 'veeam-auth-proxy reload',
  options: locating,
  async run(call) {
    const [{ proxyAt }, { askProxy, QUICK }, { default: Type }, { Check }] = await Promise.all([
      import('./proxy-address.ts'),
      import('./proxy-request.ts'),
      import('typebox'),
      import('typebox/value'),
    ])
    const proxy = await proxyAt(call)
    const key = call.io.env.PROXY_KEY
    // Secrets that programs print are part of it.
    const asked = askProxy({ ...proxy, method: 'POST', path: '/-/reload', key, timeout: 6 * QUICK })
    const answer = await withProgress(call.io, 'Reloading', asked)
    const Reloaded = Type.Object({ appliances: Type.Array(Type.String()) })
    const names = Check(Reloaded, answer) ? answer.appliances : []
    print(call.io.stdout, `The configuration is in force; appliances: ${names.join(', ')}.`)
    return 0
  },
}
