import type { FastifyRequest } from 'fastify'

/** A caller that is limited to some appliances is shown none of the others, admin or not. */
export function mayUse({ account }: FastifyRequest, appliance: string): boolean {
  return account.caller?.appliances?.has(appliance) !== false
}
