import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetch } from 'undici'
import {
  defaultPassword,
  defaultUsername,
  type Fault,
  type SimulatorOptions,
  simulatorRoot,
} from '../src/simulator/index.ts'
import { authorized, type Caller, type Fields, type Reply, startWithCaller, text, until } from './simulator-caller.ts'

const path = '/api/oauth2/token'
const resource = '/api/v8.1/repositories'
const effects = `${simulatorRoot.azure}/effects`
const password = { grant_type: 'password', username: defaultUsername, password: defaultPassword }

const signIn = (caller: Caller) => caller.form(path, password)

/** A plain HTTP simulator with a session: faults do not differ over TLS, save the reset, which has its own test. */
async function start(t: Parameters<typeof startWithCaller>[0], options: Omit<SimulatorOptions, 'product'> = {}) {
  const caller = await startWithCaller(t, { product: 'azure', http: true, ...options })
  const reply = await signIn(caller)
  return { caller, simulator: caller.simulator, reply, fields: authorized(text(reply, 'access_token')).fields }
}

/** The answer, or the code of what became of the connection. */
async function outcome(answer: Promise<Reply>): Promise<number | string> {
  try {
    return (await answer).status
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  }
}

test('a fault strikes the token endpoint, the resources or both, as often as it was told', async t => {
  const { caller, simulator, fields } = await start(t)
  const both = async () => [await outcome(signIn(caller)), await outcome(caller.send('GET', resource, { fields }))]
  simulator.misbehave({ where: 'token', answer: 503 })
  assert.deepEqual(await both(), [503, 200])
  simulator.misbehave({ where: 'resources', answer: 500 })
  assert.deepEqual(await both(), [200, 500])
  simulator.misbehave({ where: 'all', answer: 429, times: 3 })
  assert.deepEqual(await both(), [429, 429])
  assert.deepEqual(await both(), [429, 200])
  simulator.misbehave({ where: 'all', answer: 401 })
  assert.deepEqual(await both(), [401, 401])
  simulator.misbehave(undefined)
  assert.deepEqual(await both(), [200, 200])
})

test('a fault carries Retry-After when it was told to', async t => {
  const { caller, simulator } = await start(t)
  for (const retryAfter of ['7', 'Wed, 21 Oct 2099 07:28:00 GMT']) {
    simulator.misbehave({ where: 'token', answer: 429, retryAfter })
    assert.equal((await signIn(caller)).fields.get('retry-after'), retryAfter)
  }
})

test('a token endpoint can answer 200 with what is no token answer', async t => {
  const { caller, simulator } = await start(t)
  simulator.misbehave({ where: 'token', answer: 'garbage' })
  const garbage = await signIn(caller)
  assert.equal(garbage.status, 200)
  assert.throws(() => JSON.parse(garbage.text))
  simulator.misbehave({ where: 'token', answer: 'empty' })
  const empty = await signIn(caller)
  assert.deepEqual([empty.status, empty.text, empty.fields.get('content-length')], [200, '', '0'])
  simulator.misbehave({ where: 'token', answer: 'html' })
  const page = await signIn(caller)
  assert.match(page.fields.get('content-type') ?? '', /^text\/html/)
  simulator.misbehave({ where: 'token', answer: 'huge' })
  const huge = await signIn(caller)
  assert.ok(huge.text.length > 64 * 2 ** 20)
})

test('an answer can break off in the middle, and a connection be reset before any of it, over TLS too', async t => {
  for (const http of [true, false]) {
    const { caller, simulator, fields } = await start(t, { http })
    simulator.misbehave({ where: 'all', answer: 'reset' })
    assert.equal(await outcome(signIn(caller)), 'ECONNRESET')
    assert.equal(await outcome(caller.send('GET', resource, { fields })), 'ECONNRESET')
    simulator.misbehave({ where: 'all', answer: 'cut' })
    const cut = await outcome(caller.send('GET', resource, { fields }))
    assert.ok(cut === 'ECONNRESET' || cut === 'UND_ERR_SOCKET', String(cut))
    simulator.misbehave(undefined)
    assert.equal(await outcome(caller.send('GET', resource, { fields })), 200)
  }
})

test('a hanging simulator answers nothing until its caller gives up', async t => {
  const { simulator, fields } = await start(t)
  simulator.misbehave({ where: 'resources', answer: 'hang' })
  const signal = AbortSignal.timeout(300)
  await assert.rejects(fetch(simulator.url + resource, { headers: fields, signal }), { name: 'TimeoutError' })
  await until(() => simulator.counts.aborted === 1)
})

test('a request whose answer is lost has taken its effect, so that a repetition shows', async t => {
  const { caller, simulator, fields } = await start(t)
  for (const answer of ['reset', 503] as const) {
    simulator.misbehave({ where: 'resources', answer, times: 1 })
    await outcome(caller.send('POST', `${effects}?id=${answer}`, { fields }))
    await outcome(caller.send('POST', `${effects}?id=${answer}`, { fields }))
  }
  assert.deepEqual([simulator.counts.effects, simulator.counts.duplicateEffects], [3, 1])
})

test('revoked tokens die at once, access and refresh tokens each by themselves', async t => {
  const { caller, simulator } = await start(t)
  const state = async (reply: Reply) => [
    (await caller.send('GET', resource, authorized(text(reply, 'access_token')))).status,
    (await caller.form(path, { grant_type: 'refresh_token', refresh_token: text(reply, 'refresh_token') })).status,
  ]
  for (const [what, expected] of [
    ['access', [401, 200]],
    ['refresh', [200, 400]],
    ['all', [401, 400]],
  ] as const) {
    const reply = await signIn(caller)
    simulator.revoke(what)
    assert.deepEqual(await state(reply), expected, what)
  }
})

test('a rotated certificate is shown to new connections only', async t => {
  const { caller, simulator, fields } = await start(t, { http: false })
  const before = { certificate: simulator.certificate, fingerprint: simulator.fingerprint }
  await simulator.rotateCertificate()
  assert.notEqual(simulator.fingerprint, before.fingerprint)
  assert.notEqual(simulator.certificate, before.certificate)
  assert.equal(await outcome(caller.send('GET', resource, { fields })), 200, 'the pooled connection goes on')
  simulator.misbehave({ where: 'resources', answer: 'reset', times: 1 })
  await outcome(caller.send('GET', resource, { fields }))
  assert.equal(await outcome(caller.send('GET', resource, { fields })), 'DEPTH_ZERO_SELF_SIGNED_CERT')
})

test('errorRate fails a share of the resource requests, the same ones for the same seed', async t => {
  const run = async (seed: number) => {
    const { caller, fields } = await start(t, { errorRate: 0.3, seed })
    const statuses: (number | string)[] = []
    for (let index = 0; index < 100; index += 1) {
      statuses.push(await outcome(caller.send('GET', resource, { fields })))
    }
    return statuses
  }
  const first = await run(7)
  const failed = first.filter(status => status === 500).length
  assert.ok(failed > 10 && failed < 55, `${failed} of 100`)
  assert.equal(first.filter(status => status === 200).length, 100 - failed)
  assert.deepEqual(await run(7), first)
})

test('latency delays every answer', async t => {
  const begin = performance.now()
  const { caller, fields } = await start(t, { latency: 80 })
  await caller.send('GET', resource, { fields })
  assert.ok(performance.now() - begin >= 150)
})

test('another process can read the counts and work the controls without authorization', async t => {
  const { caller, simulator, reply, fields } = await start(t)
  const order = (name: string, value: object) =>
    caller.send('POST', `/simulator/${name}`, { body: JSON.stringify(value) })
  const fault: Fault = { where: 'resources', answer: 503, retryAfter: '2', times: 1 }
  assert.equal((await order('misbehave', fault)).status, 204)
  assert.equal((await caller.send('GET', resource, { fields })).fields.get('retry-after'), '2')
  assert.equal((await order('misbehave', { where: 'all', answer: 'hang' })).status, 204)
  assert.equal((await order('misbehave', {})).status, 204)
  assert.equal((await caller.send('GET', resource, { fields })).status, 200)
  assert.equal((await order('revoke', { what: 'access' })).status, 204)
  assert.equal((await caller.send('GET', resource, { fields })).status, 401)
  const refresh = { grant_type: 'refresh_token', refresh_token: text(reply, 'refresh_token') }
  assert.equal((await order('clock', { milliseconds: 15 * 86_400_000 })).status, 204)
  assert.equal((await caller.form(path, refresh)).status, 400)
  assert.equal((await order('password', { password: 'other' })).status, 204)
  assert.equal((await signIn(caller)).status, 400)
  const wrong: [string, Fields | string[]][] = [
    ['misbehave', { where: 'nowhere', answer: 'hang' }],
    ['misbehave', { where: 'all', answer: 'smile' }],
    ['revoke', { what: 'nothing' }],
    ['password', {}],
    ['clock', {}],
  ]
  for (const [name, value] of wrong) assert.equal((await order(name, value)).status, 400, JSON.stringify([name, value]))
  const counts = await caller.send('GET', '/simulator/counts')
  assert.deepEqual(Object.fromEntries(counts.body), simulator.counts)
  assert.equal(counts.body.get('refusedSignIns'), 1)
})
