import { sessionVerb } from './session-verb.ts'

export const renew = sessionVerb({
  name: 'renew',
  summary: 'Let the running proxy renew its session at an appliance now; the old one serves until the new one is there',
  doing: name => `Renewing the session at ${name}`,
  done: (_, state) => `renewed; the session is ${state}.`,
})
