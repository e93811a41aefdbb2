import { sessionVerb } from './session-verb.ts'

export const signIn = sessionVerb({
  name: 'sign-in',
  summary: 'Let the running proxy try to sign in to an appliance now, after its credentials were corrected',
  doing: name => `Signing in to ${name}`,
  done: (_, state) => `signed in; the session is ${state}.`,
})
