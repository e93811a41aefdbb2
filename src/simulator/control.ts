import { type Answer, type Exchange, send } from './answer.ts'
import { parseJson, readText } from './body.ts'
import type { Counts } from './counts.ts'
import { type Fault, faultManners, faultPlaces, faultStatuses } from './faults.ts'

/** What can be done to a running simulator from inside and, at `/simulator/…`, from another process. */
export interface Controls {
  counts: Counts
  issueAuthorizationCode(): string
  revoke(what?: 'access' | 'refresh' | 'all'): void
  rotateCertificate(): Promise<void>
  misbehave(fault: Fault | undefined): void
  shiftClock(milliseconds: number): void
  setPassword(password: string): void
}

const done: Answer = { status: 204 }

/**
 * `GET /simulator/counts`, and `POST /simulator/{misbehave,revoke,password,clock,certificate,code}` with JSON.
 * HAZARD: they ask for no authorization. A simulator is a development tool for the loopback interface and must never
 * be reachable from elsewhere.
 */
export async function control(exchange: Exchange, controls: Controls): Promise<void> {
  const { request, response, path } = exchange
  const name = path.slice('/simulator/'.length)
  if (request.method === 'GET' && name === 'counts') return send(response, { status: 200, body: controls.counts })
  if (request.method !== 'POST') return send(response, { status: 405 })
  const text = (await readText(request)) ?? ''
  const value = text === '' ? {} : parseJson(text)
  if (typeof value !== 'object' || value === null) {
    return send(response, { status: 400, body: { message: 'not a JSON object' } })
  }
  send(response, await act(name, new Map(Object.entries(value)), controls))
}

async function act(name: string, fields: Map<string, unknown>, controls: Controls): Promise<Answer> {
  switch (name) {
    case 'misbehave': {
      if (fields.size === 0) {
        controls.misbehave(undefined)
        return done
      }
      const fault = readFault(fields)
      if (fault === undefined) return { status: 400, body: { message: 'not a fault' } }
      controls.misbehave(fault)
      return done
    }
    case 'revoke': {
      const what = ['access', 'refresh', 'all'] as const
      const wanted = fields.get('what') ?? 'all'
      const known = what.find(entry => entry === wanted)
      if (known === undefined) return { status: 400, body: { message: `what: ${what.join(', ')}` } }
      controls.revoke(known)
      return done
    }
    case 'password': {
      const password = fields.get('password')
      if (typeof password !== 'string') return { status: 400, body: { message: 'password is missing' } }
      controls.setPassword(password)
      return done
    }
    case 'clock': {
      const milliseconds = fields.get('milliseconds')
      if (typeof milliseconds !== 'number') return { status: 400, body: { message: 'milliseconds is missing' } }
      controls.shiftClock(milliseconds)
      return done
    }
    case 'certificate':
      await controls.rotateCertificate()
      return done
    case 'code':
      return { status: 200, body: { code: controls.issueAuthorizationCode() } }
    default:
      return { status: 404 }
  }
}

function readFault(fields: Map<string, unknown>): Fault | undefined {
  const where = faultPlaces.find(entry => entry === fields.get('where'))
  const answer = [...faultStatuses, ...faultManners].find(entry => entry === fields.get('answer'))
  const retryAfter = fields.get('retryAfter')
  const times = fields.get('times')
  if (where === undefined || answer === undefined) return undefined
  if (retryAfter !== undefined && typeof retryAfter !== 'string') return undefined
  if (times !== undefined && typeof times !== 'number') return undefined
  return {
    where,
    answer,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(times === undefined ? {} : { times }),
  }
}
