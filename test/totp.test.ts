import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Clock, systemClock } from '../src/session/clock.ts'
import { totpCode } from '../src/session/totp.ts'
import { call, get, statusOf } from './caller.ts'
import { applianceAt, eventually, secret, simulate, startBox, startProxy } from './rig.ts'
import { granted, grantsOf, startScripted } from './scripted-appliance.ts'

const totpSecret = 'JBSWY3DPEHPK3PXP'

/** The credentials of the simulator with a TOTP secret in base32 or as a URI. */
function withTotp(value: string) {
  const password = secret('Passw0rd+/=& %25#ü')
  return { type: 'password', username: 'Administrator', password, totp: secret(value) } as const
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('codes from a TOTP secret', { concurrency: 6 }, () => {
  test('codes are those of RFC 6238, from base32 however it is written and from an otpauth URI', () => {
    // RFC 6238, appendix B: the secret '12345678901234567890', the last six of its eight digits.
    const base32 = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
    const spellings = [
      base32,
      base32.toLowerCase(),
      base32.replace(/(.{4})/g, '$1 '),
      `otpauth://totp/Veeam:admin?secret=${base32}&issuer=Veeam`,
    ]
    for (const spelling of spellings) {
      assert.equal(totpCode(spelling, 59_000).code, '287082')
      assert.equal(totpCode(spelling, 1_111_111_109_000).code, '081804')
    }
    assert.deepEqual(totpCode(base32, 59_000), { code: '287082', step: 1, nextStepAt: 60_000 })
  })

  test('an otpauth URI says how many digits and seconds its codes have, and with which hash', () => {
    const base32 = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
    const eight = totpCode(`otpauth://totp/x?secret=${base32}&digits=8&period=30&algorithm=SHA1`, 59_000)
    assert.equal(eight.code, '94287082')
    assert.equal(totpCode(`otpauth://totp/x?secret=${base32}&period=60`, 59_000).step, 0)
  })

  for (const product of ['azure', 'google-cloud'] as const) {
    test(`${product} with a TOTP secret signs in through MFA without a person`, async t => {
      for (const value of [totpSecret, `otpauth://totp/Veeam:a?secret=${totpSecret}&issuer=Veeam`]) {
        const { simulator, url } = await startBox(t, { product, totpSecret }, { credentials: withTotp(value) })
        await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
        assert.deepEqual([simulator.counts.signIns, simulator.counts.mfa, simulator.counts.refusedCodes], [1, 1, 0])
      }
    })
  }

  test('a TOTP secret that is none is told without being shown', async t => {
    const { url } = await startBox(t, { product: 'azure', totpSecret }, { credentials: withTotp('n0t-base32!') })
    await eventually('told', async () => (await statusOf(url)).get('lastError') !== null)
    const reply = await get(url, '/box/x')
    assert.deepEqual([reply.status, reply.json.get('code')], [502, 'SECRET_UNREADABLE'])
    assert.doesNotMatch(reply.text, /n0t-base32/)
  })

  test("one time step's code is never sent twice, however often the session has to be begun anew", async t => {
    // The appliance forgets its tokens, so every attempt goes through password and code; the steps last one second.
    const scripted = await startScripted(t, {
      token({ form }, nth) {
        if (form.get('grant_type') === 'Mfa') return granted(nth)
        if (form.get('grant_type') === 'Refresh_token') return { status: 400 }
        return { body: { mfa_token: `mfa-token-${nth}` } }
      },
    })
    const uri = `otpauth://totp/x?secret=${totpSecret}&period=1`
    const { url } = await startProxy(t, [applianceAt(scripted, 'azure', { credentials: withTotp(uri) })])
    await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    for (let i = 0; i < 4; i += 1) {
      const reply = await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
      assert.equal(reply.status, 200, reply.text)
    }
    const grants = scripted.tokenRequests.filter(({ form }) => form.get('grant_type') === 'Mfa')
    const codes = grants.map(({ form }) => form.get('mfa_code'))
    assert.equal(codes.length, 5)
    for (const [i, { at }] of grants.entries()) {
      const code = codes[i] ?? ''
      const earlier = codes.slice(0, i)
      assert.ok(!earlier.includes(code), `${code} was sent before`)
      if (i > 0) assert.ok(at - (grants[i - 1]?.at ?? 0) > 0)
    }
  })

  test('a TOTP code that was refused is followed by the code of the next step, once', async t => {
    const scripted = await startScripted(t, {
      token({ form }, nth) {
        if (form.get('grant_type') === 'Mfa') return { status: 400, body: { detail: 'The code is incorrect.' } }
        return { body: { mfa_token: `mfa-token-${nth}` } }
      },
    })
    const uri = `otpauth://totp/x?secret=${totpSecret}&period=1`
    const { url } = await startProxy(t, [applianceAt(scripted, 'azure', { credentials: withTotp(uri) })])
    await eventually('waiting', async () => (await statusOf(url)).get('state') === 'waiting')
    await new Promise(resolve => setTimeout(resolve, 1500))
    assert.deepEqual(grantsOf(scripted.tokenRequests), ['password', 'mfa', 'mfa'])
    const codes = scripted.tokenRequests.map(({ form }) => form.get('mfa_code')).filter(code => code !== null)
    assert.equal(new Set(codes).size, 2)
  })

  test('a proxy that is started again within a time step gets past the code that was spent', async t => {
    const simulator = await simulate(t, { product: 'azure', totpSecret })
    const credentials = { credentials: withTotp(totpSecret) }
    let ahead = 0
    // Waiting for the next step takes no time here: the proxy's clock and the appliance's are put forward together.
    const clock: Clock = {
      ...systemClock,
      wall: () => Date.now() + ahead,
      monotonic: () => performance.now() + ahead,
      timer(milliseconds, callback) {
        const waitsForStep = milliseconds > 0 && milliseconds < 30_000
        if (waitsForStep) {
          ahead += milliseconds
          simulator.shiftClock(milliseconds)
        }
        return systemClock.timer(waitsForStep ? 1 : milliseconds, callback)
      },
    }
    for (const _ of ['first', 'second']) {
      const { url } = await startProxy(t, [applianceAt(simulator, 'azure', credentials)], { clock })
      await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
    }
    assert.equal(simulator.counts.mfa, 2)
    assert.ok(simulator.counts.refusedCodes <= 1)
  })
})
