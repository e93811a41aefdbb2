import { existsSync } from 'node:fs'
import type { Site } from '../site.ts'
import type { Contestant } from './contestant.ts'
import { knowsKey, startProduct } from './product.ts'

/** With its defaults. */
export const veeamAuthProxy: Contestant = {
  name: 'veeam-auth-proxy',
  kind: 'proxy',
  ownPath: '/-/livez',
  available: notBuilt,
  start: site => startProduct(site, { name: 'veeam-auth-proxy' }),
}

export const cached: Contestant = {
  name: 'veeam-auth-proxy from its cache',
  kind: 'answering',
  ownPath: '/-/livez',
  available: async site => notBuilt(site) ?? ((await knowsKey(site, 'cache')) ? undefined : 'not in this version'),
  start: site =>
    startProduct(site, { name: 'cached', appliance: ["cache: { ttl: 1h, maxSize: 64MB, paths: ['/**'] }"] }),
}

export const withoutLog: Contestant = {
  name: 'veeam-auth-proxy without log',
  kind: 'answering',
  ownPath: '/-/livez',
  available: notBuilt,
  start: site => startProduct(site, { name: 'log-off', args: ['--log-level', 'silent'] }),
}

export function notBuilt({ main }: Site): string | undefined {
  return existsSync(main) ? undefined : `not built: ${main} (npm run build)`
}
