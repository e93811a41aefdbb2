import assert from 'node:assert/strict'
import type { OutgoingHttpHeaders } from 'node:http'
import type { SimulatedProduct, Simulator } from '../src/simulator/index.ts'
import { call, get, type Reply } from './caller.ts'
import { eventually } from './rig.ts'

export const FORM = 'application/x-www-form-urlencoded'

/** The path of each product's sign-in as its document writes it. */
export const tokenPaths: Readonly<Record<SimulatedProduct, string>> = {
  azure: '/api/oauth2/token',
  microsoft365: '/v8/token',
  'google-cloud': '/api/v1/token',
}

export interface SignInCall {
  path: string
  body?: string
  type?: string
  fields?: OutgoingHttpHeaders
}

/** A tool's sign-in at the appliance `box`, with nonsense unless told. */
export function signIn(
  url: string,
  { path, body = 'grant_type=password&username=u&password=p', type = FORM, fields = {} }: SignInCall,
): Promise<Reply> {
  return call(url, { method: 'POST', path: `/box${path}`, fields: { 'content-type': type, ...fields }, body })
}

export async function live(url: string): Promise<void> {
  await eventually('live', async () => (await get(url, '/-/readyz')).status === 200)
}

/** Runs the work, and checks that the appliance has heard nothing of it. */
export async function unheard<T>({ counts }: Simulator, work: () => Promise<T>): Promise<T> {
  const before = { ...counts }
  const value = await work()
  assert.deepEqual({ ...counts }, before, 'the appliance heard of it')
  return value
}

export function assertPlaceholders({ status, json, text }: Reply): void {
  assert.equal(status, 200, text)
  assert.match(String(json.get('access_token')), /^veeam-auth-proxy\.access\./)
  assert.match(String(json.get('refresh_token')), /^veeam-auth-proxy\.refresh\./)
}

/** Checks that an error has its product's form, and gives what tools print of it. */
export function messageIn(product: SimulatedProduct, { fields, json, status }: Reply): string {
  const type = String(fields['content-type'])
  if (product === 'microsoft365') assert.match(type, /^application\/json\b/)
  else {
    assert.match(type, /^application\/problem\+json\b/)
    assert.equal(json.get('status'), status)
    assert.equal(json.get(product === 'azure' ? 'detail' : 'details'), json.get('message'))
  }
  assert.equal(typeof json.get('errorCode'), 'string')
  assert.equal(fields['www-authenticate'], undefined)
  const message = json.get('message')
  assert.equal(typeof message, 'string')
  return String(message)
}
