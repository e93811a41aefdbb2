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
  available: async site => notBuilt(site) ?? ((await knowsKey(site, 'cache')) ? undefined : 'not in this version'),
  start: site =>
    startProduct(site, { name: 'cached', appliance: ["cache: { ttl: 1h, maxSize: 64MB, paths: ['/**'] }"] }),
}

/**
 * What the defaults do beside forwarding, each with what turns it off: arguments of `serve`, or lines for an appliance.
 * One without them has no switch in this version, and the row that needs all of them is not measured.
 */
const defaults: readonly { what: string; args?: readonly string[]; appliance?: readonly string[] }[] = [
  { what: 'guard' },
  { what: 'policy' },
  { what: 'metrics' },
  { what: 'log', args: ['--log-level', 'silent'] },
]
const fixed = defaults.filter(({ args, appliance }) => args === undefined && appliance === undefined)

export const withoutLog: Contestant = {
  name: 'veeam-auth-proxy without log',
  kind: 'answering',
  available: notBuilt,
  start: site => startProduct(site, { name: 'log-off', args: ['--log-level', 'silent'] }),
}

export const withoutDefaults: Contestant = {
  name: 'veeam-auth-proxy without defaults',
  kind: 'answering',
  available(site) {
    if (fixed.length === 0) return notBuilt(site)
    return `not in this version: a switch for ${fixed.map(({ what }) => what).join(', ')}`
  },
  start: site =>
    startProduct(site, {
      name: 'defaults-off',
      args: defaults.flatMap(({ args = [] }) => args),
      appliance: defaults.flatMap(({ appliance = [] }) => appliance),
    }),
}

export function notBuilt({ main }: Site): string | undefined {
  return existsSync(main) ? undefined : `not built: ${main} (npm run build)`
}
