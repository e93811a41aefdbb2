import type { FastifyBaseLogger } from 'fastify'
import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import { cacheOf } from './cache.ts'
import { type Forwarded, forward } from './forward.ts'
import { writeProblem } from './problem.ts'

/** Sends on a request that nobody has anything against, or answers it from what is kept. Never throws. */
export function pass(appliance: Appliance, forwarded: Forwarded, log: FastifyBaseLogger): void {
  const { account, response } = forwarded
  try {
    const cache = cacheOf(appliance)
    if (cache === undefined) forward(appliance, forwarded)
    else cache.answer(appliance, forwarded)
  } catch (error) {
    account.failure = 'INTERNAL'
    log.error({ err: error, id: account.id }, 'the proxy failed')
    writeProblem(response, new Failure('INTERNAL', 'See the log.', { cause: error }), appliance.name, account)
  }
}
