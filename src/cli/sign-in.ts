import { type Command, print } from './command.ts'
import { locating } from './locating.ts'

export const signIn: Command = {
  name: 'sign-in',
  args: '<name>',
  summary: 'Let the running proxy try to sign in to an appliance now, after its credentials were corrected',
  example: 'veeam-auth-proxy sign-in tenant',
  options: locating,
  async run(call) {
    const [name = ''] = call.args
    const [{ proxyUrl }, { askProxy, SIGN_IN, stateIn }] = await Promise.all([
      import('./proxy-address.ts'),
      import('./proxy-request.ts'),
    ])
    const path = `/-/appliances/${encodeURIComponent(name)}/sign-in`
    const answer = await askProxy({
      url: await proxyUrl(call),
      method: 'POST',
      path,
      key: call.io.env.PROXY_KEY,
      timeout: SIGN_IN,
    })
    print(call.io.stdout, `${name}: signed in; the session is ${stateIn(answer)}.`)
    return 0
  },
}
