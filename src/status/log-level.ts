import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { Failure } from '../errors.ts'

export interface LogLevels {
  readonly all: readonly string[]
  readonly now: string
  /** @param level one of `all` */
  change(level: string): void
}

const Wanted = Type.Object({ level: Type.String() })

/** How much is logged, to be asked for and to be changed while the proxy runs. */
export function logLevel(app: FastifyInstance, levels: LogLevels): void {
  app.get('/-/log-level', async () => ({ level: levels.now }))

  app.post('/-/log-level', async request => {
    const wanted = [request.body, request.query].find(given => Check(Wanted, given))
    if (!Check(Wanted, wanted) || !levels.all.includes(wanted.level)) {
      const detail = `Give {"level": LEVEL} as JSON, or ?level=LEVEL; the levels are ${levels.all.join(', ')}.`
      throw new Failure('BAD_REQUEST', detail)
    }
    levels.change(wanted.level)
    return { level: levels.now }
  })
}
