import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Dispatcher, Pool } from 'undici'
import { downloadBytes, type SimulatedProduct, simulatorRoot } from '../src/simulator/index.ts'
import { jsonOf } from './caller.ts'
import type { Ledger } from './soak-ledger.ts'

/** A request that has no answer by then is lost, in milliseconds: the proxy makes no caller wait that long. */
const LONGEST = 60_000
const DOWNLOAD = 300_000
const downloaded = digest([...downloadBytes('soak', 0, DOWNLOAD)])

interface List {
  path: string
  query: (offset: number) => string
  items: string
}

const lists: Readonly<Record<SimulatedProduct, List>> = {
  azure: { path: '/jobSessions', query: offset => `offset=${offset}&limit=20`, items: 'results' },
  microsoft365: { path: '/JobSessions', query: offset => `offset=${offset}&limit=20`, items: 'results' },
  'google-cloud': { path: '/sessions', query: offset => `$offset=${offset}&$limit=20`, items: 'data' },
}

interface Operation {
  share: number
  /** @returns what the caller sees: `good`, or what is wrong */
  run(caller: Caller): Promise<string>
}

const operations: Readonly<Record<string, Operation>> = {
  get: {
    share: 8,
    run: async caller =>
      expect(await caller.ask({ method: 'GET', path: '/simulator/status/200' }), 200, { status: 200 }),
  },
  page: {
    share: 4,
    async run(caller) {
      const { path, query, items } = caller.list
      const answer = await caller.ask({ method: 'GET', path: `${path}?${query(20 * Math.floor(Math.random() * 3))}` })
      const page = jsonOf(answer.body.toString()).get(items)
      return answer.status === 200 && Array.isArray(page) && page.length === 20 ? 'good' : outcomeOf(answer, 200)
    },
  },
  effect: {
    share: 4,
    run: async caller =>
      expect(
        await caller.ask({ method: 'POST', path: `/simulator/effects?id=${randomUUID()}`, body: randomBytes(2000) }),
        201,
        {
          times: 1,
        },
      ),
  },
  upload: {
    share: 1,
    async run(caller) {
      const body = randomBytes(150_000)
      const pieces = Array.from({ length: 10 }, (_, i) => body.subarray(i * 15_000, (i + 1) * 15_000))
      const request = { method: 'POST', path: '/simulator/uploads', body: Readable.from(pieces) } as const
      return expect(await caller.ask(request), 200, { sha256: digest([body]), bytes: body.length })
    },
  },
  download: {
    share: 1,
    async run(caller) {
      const answer = await caller.ask({ method: 'GET', path: `/simulator/downloads/large?bytes=${DOWNLOAD}&seed=soak` })
      return answer.status === 200 && digest([answer.body]) === downloaded ? 'good' : outcomeOf(answer, 200)
    },
  },
}

interface Answer {
  status: number
  body: Buffer
}

type Request = Pick<Dispatcher.RequestOptions, 'path' | 'body'> & { method: 'GET' | 'POST' }

/** Who asks one appliance for this and that, one request at a time. */
class Caller {
  readonly list: List
  readonly #pool: Pool
  readonly #root: string

  constructor(pool: Pool, appliance: SimulatedProduct) {
    this.#pool = pool
    this.#root = `/${appliance}${simulatorRoot[appliance].replace(/\/simulator$/, '')}`
    this.list = lists[appliance]
  }

  async ask({ path, ...request }: Request): Promise<Answer> {
    const signal = AbortSignal.timeout(LONGEST)
    const { statusCode, body } = await this.#pool.request({ ...request, path: this.#root + path, signal })
    return { status: statusCode, body: Buffer.from(await body.arrayBuffer()) }
  }
}

/** Callers of one appliance, until they are told to stop. */
export async function callers(
  many: number,
  { url, appliance, ledger, stop }: { url: string; appliance: SimulatedProduct; ledger: Ledger; stop: AbortSignal },
): Promise<void> {
  const pool = new Pool(url, { connections: many, headersTimeout: 0, bodyTimeout: 0 })
  const caller = new Caller(pool, appliance)
  const choices = Object.entries(operations).flatMap(([name, operation]) =>
    Array.from({ length: operation.share }, () => ({ name, operation })),
  )
  const one = async () => {
    while (!stop.aborted) {
      const { name, operation } = choices[Math.floor(Math.random() * choices.length)] ?? {}
      if (name === undefined || operation === undefined) continue
      const from = performance.now()
      const outcome = await operation.run(caller).catch(brokenBy)
      if (outcome === 'good') ledger.served(name)
      else ledger.failed({ appliance, operation: name, outcome, from })
      await sleep(10 + Math.random() * 40)
    }
  }
  await Promise.all(Array.from({ length: many }, one))
  await pool.destroy()
}

function expect(answer: Answer, status: number, members: Record<string, unknown>): string {
  const json = jsonOf(answer.body.toString())
  const right = answer.status === status && Object.entries(members).every(([name, value]) => json.get(name) === value)
  return right ? 'good' : outcomeOf(answer, status)
}

/** A status of the appliance, or a status and a code of the proxy. */
function outcomeOf({ status, body }: Answer, wanted: number): string {
  const json = jsonOf(body.toString())
  if (json.get('source') === 'proxy') return `${status} ${json.get('code')}`
  return status === wanted || status === 200 ? 'wrong content' : String(status)
}

function brokenBy(error: unknown): string {
  return error instanceof Error && error.name === 'TimeoutError' ? 'no answer' : 'broken'
}

function digest(chunks: readonly Buffer[]): string {
  const hash = createHash('sha256')
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}
