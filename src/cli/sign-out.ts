import { sessionVerb } from './session-verb.ts'

export const signOut = sessionVerb({
  name: 'sign-out',
  summary: 'Let the running proxy end its session at an appliance, and not sign in there by itself any more',
  doing: name => `Signing out of ${name}`,
  done: (name, state) => `the session is ${state}, and stays so until: veeam-auth-proxy sign-in ${name}`,
})
