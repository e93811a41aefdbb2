import type { FastifyInstance, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { Check } from 'typebox/value'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import { readiness } from './health.ts'
import { type LogLevels, logLevel } from './log-level.ts'
import type { Metrics } from './metrics.ts'

const Named = Type.Object({ name: Type.String() })
const GivenCode = Type.Object({ code: Type.String({ minLength: 1, maxLength: 4096 }) })

const DAY = 86_400_000

export interface StatusParts {
  appliances: ReadonlyMap<string, Appliance>
  version: string
  /** Addresses of an appliance. */
  servedAt: (name: string) => readonly string[]
  /** True once the process is on its way out. */
  closing: () => boolean
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

  app.post('/-/appliances/:name/code', async request => {
    const appliance = named(request)
    if (!Check(GivenCode, request.body)) throw new Failure('BAD_REQUEST', 'The body must be JSON: {"code": "123456"}.')
    await appliance.session.giveCode(request.body.code.trim())
    return describe(appliance)
  })

  app.post('/-/appliances/:name/sign-in', async request => {
    const appliance = named(request)
    await appliance.session.attempt()
    return describe(appliance)
  })

  app.post('/-/appliances/:name/renew', async request => {
    const appliance = named(request)
    await appliance.session.attempt()
    return describe(appliance)
  })

  app.post('/-/appliances/:name/sign-out', async request => {
    const appliance = named(request)
    await appliance.session.signOut()
    return describe(appliance)
  })
  app.get('/-/metrics', async (request, reply) => {
    const { caller } = request.account
    if (caller?.appliances !== undefined)
      throw new Failure(
        'APPLIANCE_DENIED',
        `The metrics are those of all appliances, which ${caller.name} may not see.`,
      )
    const { type, text } = await parts.metrics.page()
    return reply.type(type).send(text)
  })

  logLevel(app, parts.logLevels)

  app.post('/-/reload', async request => {
    await parts.reload()
    return { status: 'reloaded', appliances: [...appliances.keys()].filter(name => mayUse(request, name)) }
  })

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

  function named(request: FastifyRequest): Appliance {
    const name = Check(Named, request.params) ? request.params.name : ''
    const appliance = appliances.get(name)
    const names = [...appliances.keys()].filter(each => mayUse(request, each))
    if (appliance !== undefined && names.includes(name)) return appliance
    throw new Failure(
      'UNKNOWN_APPLIANCE',
      `There is no appliance ${JSON.stringify(name)}; there are: ${names.join(', ')}.`,
    )
  }
}

/** A caller that is limited to some appliances is shown none of the others, admin or not. */
function mayUse({ account }: FastifyRequest, appliance: string): boolean {
  return account.caller?.appliances?.has(appliance) !== false
}

/** @returns with whole days, negative once it has ended */
function ending({ fingerprint, validTo }: { fingerprint: string; validTo: number }) {
  return { fingerprint, validTo: iso(validTo), daysLeft: Math.floor((validTo - Date.now()) / DAY) }
}

function iso(time: number | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString()
}
