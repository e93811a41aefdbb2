import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { Check } from 'typebox/value'
import type { Appliance } from '../appliance.ts'
import { Failure, type FailureCode } from '../errors.ts'
import { mayUse } from './may-use.ts'

const Named = Type.Object({ name: Type.String() })
const GivenCode = Type.Object({ code: Type.String({ minLength: 1, maxLength: 4096 }) })

const FORM = 'application/x-www-form-urlencoded'
/** Bytes of a form: a code is all that one holds. */
const LONGEST_FORM = 16_384

export interface VerbParts {
  appliances: ReadonlyMap<string, Appliance>
  /** What a verb answers with. */
  describe: (appliance: Appliance) => unknown
}

/**
 * What a person can do to a session: `POST /-/appliances/NAME/…`. Answered with its status or a problem; a form of the
 * status page, which wants a page and no JSON, is led back there with `done` or `failed`.
 */
export async function verbs(app: FastifyInstance, { appliances, describe }: VerbParts): Promise<void> {
  app.addContentTypeParser(FORM, { parseAs: 'string', bodyLimit: LONGEST_FORM }, (_, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(String(body))))
  })

  verb('code', async ({ session }, body) => {
    if (!Check(GivenCode, body)) throw new Failure('BAD_REQUEST', 'The body must be JSON: {"code": "123456"}.')
    await session.giveCode(body.code.trim())
  })
  verb('sign-in', ({ session }) => session.attempt())
  verb('renew', async ({ session }) => {
    if (session.current() === undefined) throw new Failure('NO_SESSION', `The session is ${session.status().state}.`)
    await session.attempt()
  })
  verb('sign-out', ({ session }) => session.signOut())

  function verb(name: string, act: (appliance: Appliance, body: unknown) => Promise<void>): void {
    app.post(`/-/appliances/:name/${name}`, async (request, reply) => {
      const appliance = named(request)
      if (!isForm(request)) {
        await act(appliance, request.body)
        return describe(appliance)
      }
      const outcome = await act(appliance, request.body).then(() => ({ done: name }), failed)
      // No problem is answered that would tell the log and the audit of it.
      if ('failed' in outcome) request.account.failure = outcome.failed
      return backToThePage(reply, { appliance: appliance.name, ...outcome })
    })
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

function isForm({ headers }: FastifyRequest): boolean {
  return headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() === FORM
}

function failed(error: unknown): { failed: FailureCode } {
  if (error instanceof Failure) return { failed: error.code }
  throw error
}

/** See Other: loading the page again must not press the button again. */
function backToThePage(reply: FastifyReply, outcome: Record<string, string>): FastifyReply {
  return reply
    .code(303)
    .header('location', `/-/?${new URLSearchParams(outcome)}`)
    .send()
}
