import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { call, statusOf } from './caller.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { applianceAt, type Context, eventually, type Overrides, secret, startProxy } from './rig.ts'
import { granted, type Script, startScripted } from './scripted-appliance.ts'

const refusing: Script = { token: () => ({ status: 400, body: { error: 'invalid_grant' } }) }
const wrong = { type: 'password', username: 'admin', password: secret('wrong password') } as const

/** A proxy that is given another configuration of the same appliance, as often as `reload` is called. */
async function reloading(
  t: Context,
  at: { url: string; certificate: string },
  overrides: Overrides,
  product = 'azure',
) {
  let nth = 0
  const { server, url } = await startProxy(t, [applianceAt(at, product, { identity: '0', ...overrides })], {
    load: async () => {
      nth += 1
      return { ...server.configuration, appliances: [applianceAt(at, product, { identity: `${nth}`, ...overrides })] }
    },
  })
  const settled = async () => {
    await eventually('settled', async () => !/^(signing-in|renewing)$/.test(String((await statusOf(url)).get('state'))))
    return (await statusOf(url)).get('state')
  }
  const reload = async () => {
    assert.equal((await call(url, { method: 'POST', path: '/-/reload' })).status, 200)
    return settled()
  }
  assert.notEqual(await settled(), undefined)
  return { reload, url }
}

describe('an appliance whose entry in the configuration changes', { concurrency: 5 }, () => {
  test('is not sent the same refused password more than twice an hour, however often that happens', async t => {
    const scripted = await startScripted(t, refusing)
    const { reload } = await reloading(t, scripted, { credentials: wrong })
    for (let i = 0; i < 5; i++) assert.equal(await reload(), 'refused')
    assert.equal(scripted.tokenRequests.length, 2)
  })

  test('is sent another password at once', async t => {
    const scripted = await startScripted(t, refusing)
    let value = 'wrong password'
    const password = { reveal: async () => value }
    const { reload } = await reloading(t, scripted, {
      credentials: { ...wrong, password: Object.assign(secret(''), password) },
    })
    assert.equal(await reload(), 'refused')
    value = 'another wrong password'
    assert.equal(await reload(), 'refused')
    assert.equal(scripted.tokenRequests.length, 3)
  })

  test('is not sent an authorization code that was spent before', async t => {
    const scripted = await startScripted(t, refusing)
    const credentials = { type: 'authorization_code', code: secret('code+/=') } as const
    const { reload } = await reloading(t, scripted, { credentials }, 'google-cloud')
    for (let i = 0; i < 3; i++) assert.equal(await reload(), 'waiting')
    assert.equal(scripted.tokenRequests.length, 1)
  })

  test("is not sent one time step's code from a TOTP secret again", async t => {
    const scripted = await startScripted(t, {
      token: ({ form }, nth) =>
        form.get('grant_type') === 'Mfa' ? granted(nth) : { body: { mfa_token: `mfa-token-${nth}` } },
    })
    const totp = secret('otpauth://totp/x?secret=JBSWY3DPEHPK3PXP&period=2')
    const { reload } = await reloading(t, scripted, { credentials: { ...wrong, totp } })
    for (let i = 0; i < 3; i++) assert.equal(await reload(), 'live')
    const codes = scripted.tokenRequests.flatMap(({ form }) => form.get('mfa_code') ?? [])
    assert.equal(codes.length, 4)
    assert.equal(new Set(codes).size, 4, codes.join())
  })

  test('between two processes with one state directory counts with its refused passwords all the same', async t => {
    const scripted = await startScripted(t, refusing)
    const state = {
      directory: join(temporaryFolder(t).path, 'state'),
      key: secret('a state key for tests, 32 letters'),
    }
    for (let i = 0; i < 5; i++) {
      const appliance = applianceAt(scripted, 'azure', { credentials: wrong, identity: `${i}` })
      const { server, url } = await startProxy(t, [appliance], { state })
      await eventually('refused', async () => (await statusOf(url)).get('state') === 'refused')
      await server.close(500)
    }
    assert.equal(scripted.tokenRequests.length, 2)
  })
})
