import { type Contestant, startProgram } from './contestant.ts'

export const hello: Contestant = {
  name: 'hello server',
  kind: 'answering',
  available: () => undefined,
  start: site => startProgram(site, 'hello', { body: site.upstream.small }),
}
