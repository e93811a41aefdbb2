import type { TestContext } from 'node:test'
import { Agent, type BodyInit, fetch, type Response } from 'undici'
import { type Simulator, type SimulatorOptions, startSimulator } from '../src/simulator/index.ts'

export type Fields = Record<string, string>

/** One answer, read to its end. `body` is the parsed JSON, as a map of its top-level members; empty when there is none. */
export interface Reply {
  status: number
  fields: Response['headers']
  text: string
  body: Map<string, unknown>
}

/** Talks to one simulator over one connection that is kept open; trusts the certificate the simulator had at its start. */
export interface Caller {
  simulator: Simulator
  send(method: string, path: string, request?: { fields?: Fields; body?: BodyInit }): Promise<Reply>
  /** POSTs a form; the values are percent-encoded. */
  form(path: string, values: Fields, fields?: Fields): Promise<Reply>
}

/** Starts a simulator that ends with the test. */
export async function startWithCaller(t: TestContext, options: SimulatorOptions): Promise<Caller> {
  const simulator = await startSimulator(options)
  t.after(() => simulator.close())
  const agent = new Agent({ connections: 1, connect: { ca: simulator.certificate } })
  t.after(() => agent.destroy())
  const send: Caller['send'] = async (method, path, { fields = {}, body = null } = {}) => {
    const response = await fetch(simulator.url + path, {
      method,
      headers: fields,
      body,
      dispatcher: agent,
      redirect: 'manual',
    })
    const text = await response.text()
    return { status: response.status, fields: response.headers, text, body: readBody(text) }
  }
  return {
    simulator,
    send,
    form: (path, values, fields = {}) => send('POST', path, { fields, body: new URLSearchParams(values) }),
  }
}

/** A member that has to be a string. */
export function text(reply: Reply, name: string): string {
  const value = reply.body.get(name)
  if (typeof value !== 'string') throw new Error(`${name} is no string in ${reply.status} ${reply.text}`)
  return value
}

export function authorized(accessToken: string, fields: Fields = {}): { fields: Fields } {
  return { fields: { ...fields, authorization: `Bearer ${accessToken}` } }
}

/** The claims of a JWT, unchecked. */
export function claimsOf(token: string): Map<string, unknown> {
  return readBody(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
}

/** Waits for what happens soon after an answer, 5 s at most. */
export async function until(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 5000
  while (!isTrue()) {
    if (Date.now() > end) throw new Error('it did not happen in 5 s')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

function readBody(json: string): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(json)
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
  } catch {
    return new Map()
  }
}
