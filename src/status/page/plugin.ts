import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { Check } from 'typebox/value'
import type { Appliance } from '../../appliance.ts'
import { Failure, type FailureCode, failures } from '../../errors.ts'
import type { History } from '../history.ts'
import { mayUse } from '../may-use.ts'
import { readAssets } from './assets.ts'
import { type Notice, statusDocument } from './document.ts'
import { examples } from './examples.ts'
import type { Html } from './html.ts'
import { rowOf } from './row.ts'
import { securityFields } from './security.ts'
import type { Watchers } from './watchers.ts'

export interface PageParts {
  appliances: ReadonlyMap<string, Appliance>
  version: string
  /** The appliance that is served at `/` instead of under its name, if there is such a one. */
  root: () => string | undefined
  /** True once the process is on its way out. */
  closing: () => boolean
  history: History
  watchers: Watchers
}

const Query = Type.Object({
  /** The appliance that examples are wanted for. */
  example: Type.Optional(Type.String()),
  /** What came of a button: the appliance, and what was done or why it failed. */
  appliance: Type.Optional(Type.String()),
  done: Type.Optional(Type.String()),
  failed: Type.Optional(Type.String()),
})

const AssetName = Type.Object({ file: Type.String() })

/** The status page at `/` and `/-/`, what it loads, and the events that keep it up to date. */
export async function page(app: FastifyInstance, parts: PageParts): Promise<void> {
  const { appliances, version, history, watchers } = parts
  const { prefix, files } = readAssets()
  const rows = () => {
    history.keepOnly(appliances)
    return [...appliances.values()].map(appliance => rowOf(appliance, history))
  }
  watchers.show(rows)

  for (const path of ['/', '/-/']) {
    app.get(path, async (request, reply) => {
      const body = statusDocument({
        version,
        rows: rows().filter(({ name }) => mayUse(request, name)),
        mayAct: mayAct(request),
        notice: noticeOf(request.query, appliances),
        examples: examplesOf(request),
        assets: prefix,
      })
      return reply
        .headers(securityFields)
        .header('cache-control', 'no-store')
        .type('text/html; charset=utf-8')
        .send(body)
    })
  }

  app.get(`${prefix}/:file`, async (request, reply) => {
    const file = Check(AssetName, request.params) ? files.get(request.params.file) : undefined
    if (file === undefined) throw new Failure('UNKNOWN_PATH', 'The page has no such file.')
    return reply
      .headers(securityFields)
      .header('cache-control', 'private, max-age=31536000, immutable')
      .type(file.type)
      .send(file.body)
  })

  app.get('/-/events', { exposeHeadRoute: false }, (request, reply: FastifyReply) => {
    if (parts.closing()) throw new Failure('SHUTTING_DOWN', 'The proxy is on its way out.')
    if (watchers.isFull) throw new Failure('OVERLOADED', 'Too many pages are open.', { retryAfter: 5_000 })
    reply.hijack()
    watchers.add({ response: reply.raw, mayAct: mayAct(request), maySee: name => mayUse(request, name) })
  })

  function examplesOf(request: FastifyRequest): Html | undefined {
    const { query, raw, headers, account } = request
    const all = [...appliances.values()].filter(({ name }) => mayUse(request, name))
    const wanted = Check(Query, query) ? all.find(({ name }) => name === query.example) : undefined
    const chosen = wanted ?? all[0]
    if (chosen === undefined) return undefined
    const origin = `${'encrypted' in raw.socket ? 'https' : 'http'}://${headers.host}`
    return examples(all, chosen, { origin, root: parts.root(), asksCallers: account.caller !== undefined })
  }
}

function mayAct({ account: { caller } }: FastifyRequest): boolean {
  return caller === undefined || caller.admin
}

const done: Readonly<Record<string, (name: string) => string>> = {
  code: name => `${name}: the code was accepted.`,
  renew: name => `${name}: the session was renewed.`,
  'sign-in': name => `${name}: signed in.`,
  'sign-out': name => `${name}: signed out, until somebody signs in.`,
}

/** Words of our own only: the address of the page is anybody's to write. */
function noticeOf(query: unknown, appliances: ReadonlyMap<string, unknown>): Notice | undefined {
  if (!Check(Query, query) || !appliances.has(query.appliance ?? '')) return undefined
  const { appliance: name = '' } = query
  const said = Object.hasOwn(done, query.done ?? '') ? done[query.done ?? '']?.(name) : undefined
  if (said !== undefined) return { text: said, isGood: true }
  if (!isFailureCode(query.failed)) return undefined
  const { title, remedy } = failures[query.failed]
  return { text: `${name}: ${title}. ${remedy.replace('NAME', name)}.`, isGood: false }
}

function isFailureCode(code: string | undefined): code is FailureCode {
  return code !== undefined && Object.hasOwn(failures, code)
}
