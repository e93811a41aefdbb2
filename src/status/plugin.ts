import type { FastifyInstance } from 'fastify'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import { readiness } from './health.ts'
import { type LogLevels, logLevel } from './log-level.ts'
import { mayUse } from './may-use.ts'
import type { Metrics } from './metrics.ts'
import { type PageParts, page } from './page/plugin.ts'
import { verbs } from './verbs.ts'

const DAY = 86_400_000

export interface StatusParts extends PageParts {
  /** Addresses of an appliance. */
  servedAt: (name: string) => readonly string[]
  /** Takes up the configuration as it is now. Throws a `Failure` CONFIGURATION_REFUSED. */
  reload: () => Promise<void>
  metrics: Metrics
  logLevels: LogLevels
}

/** The proxy's own pages, under `/-/`. */
export async function status(app: FastifyInstance, parts: StatusParts): Promise<void> {
  const { appliances, version, closing, servedAt } = parts

  app.addHook('onRequest', async request => {
    if (request.method === 'GET' || request.method === 'HEAD') return
    const { caller } = request.account
    if (caller !== undefined && !caller.admin) throw new Failure('ADMIN_WANTED', `${caller.name} is not marked admin.`)
  })

  app.get('/-/livez', async () => ({ status: 'live' }))

  app.get('/-/readyz', async (_, reply) => {
    const { ready, missing } = readiness(appliances.values())
    if (closing()) return reply.code(503).send({ status: 'closing', missing })
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', missing })
  })

  app.get('/-/status', async request => {
    const shown = [...appliances.values()].filter(({ name }) => mayUse(request, name))
    return { version, appliances: shown.map(describe) }
  })

  app.get('/-/metrics', async (_, reply) => {
    const { type, text } = await parts.metrics.page()
    return reply.type(type).send(text)
  })

  logLevel(app, parts.logLevels)

  app.post('/-/reload', async request => {
    await parts.reload()
    return { status: 'reloaded', appliances: [...appliances.keys()].filter(name => mayUse(request, name)) }
  })

  await app.register(verbs, { appliances, describe })
  await app.register(page, parts)

  /** Times as ISO 8601, null where there is none. */
  function describe({ name, product, origin, session, trust, certificate }: Appliance) {
    const { state, grant, since, grantedAt, expiresAt, renewsAt, lastError } = session.status()
    return {
      name,
      product: product.name,
      url: origin,
      servedAt: servedAt(name),
      trust,
      certificate: certificate === undefined ? null : ending(certificate),
      state,
      grant: grant ?? null,
      since: iso(since),
      grantedAt: iso(grantedAt),
      expiresAt: iso(expiresAt),
      renewsAt: iso(renewsAt),
      lastError: lastError === undefined ? null : { ...lastError, at: iso(lastError.at) },
    }
  }
}

/** @returns with whole days, negative once it has ended */
function ending({ fingerprint, validTo }: { fingerprint: string; validTo: number }) {
  return { fingerprint, validTo: iso(validTo), daysLeft: Math.floor((validTo - Date.now()) / DAY) }
}

function iso(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString()
}
