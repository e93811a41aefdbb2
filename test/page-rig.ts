import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import type { BrowserContextOptions, Locator } from 'playwright-core'
import type { SimulatorOptions } from '../src/simulator/index.ts'
import { openWindow, type Seen } from './browser.ts'
import { get, statusOf } from './caller.ts'
import { applianceAt, eventually, type Overrides, simulate, startBox, startProxy } from './rig.ts'

export const totpSecret = 'JBSWY3DPEHPK3PXP'

export function codeNow(): string {
  return new TOTP({ secret: Secret.fromBase32(totpSecret) }).generate()
}

export async function open(t: TestContext, url: string, options: BrowserContextOptions = {}): Promise<Seen> {
  const seen = await openWindow(t, options)
  await seen.page.goto(`${url}/`)
  return seen
}

/** One appliance, live or in whatever state its options lead to, on the screen. */
export async function openBox(t: TestContext, options: Partial<SimulatorOptions> = {}, overrides: Overrides = {}) {
  const box = await startBox(t, { product: 'azure', ...options }, overrides)
  await eventually('settled', async () => (await statusOf(box.url)).get('state') !== 'signing-in')
  const seen = await open(t, box.url)
  return { ...box, ...seen, row: seen.page.locator('#appliance-box') }
}

export async function shows(row: Locator, words: string | RegExp): Promise<void> {
  await row.filter({ hasText: words }).waitFor({ timeout: 15_000 })
}

/** Nothing that the security policy forbids, nothing from elsewhere, no failed script. */
export function assertClean({ complaints, elsewhere }: Seen): void {
  assert.deepEqual([complaints, elsewhere], [[], []])
}

/** Five appliances, in as many states. */
export async function startFive(t: TestContext) {
  const [tenant, azure, gcp, refused, branch] = await Promise.all([
    simulate(t, { product: 'microsoft365' }),
    simulate(t, { product: 'azure', totpSecret }),
    simulate(t, { product: 'google-cloud', errorRate: 0.3 }),
    simulate(t, { product: 'azure', password: 'another' }),
    simulate(t, { product: 'microsoft365' }),
  ])
  branch.misbehave({ where: 'token', answer: 503 })
  const { url } = await startProxy(t, [
    { ...applianceAt(tenant, 'microsoft365'), name: 'tenant' },
    { ...applianceAt(azure, 'azure'), name: 'azure-emea' },
    { ...applianceAt(gcp, 'google-cloud'), name: 'gcp', tls: { verify: true, fingerprint: gcp.fingerprint } },
    { ...applianceAt(refused, 'azure'), name: 'azure-us' },
    { ...applianceAt(branch, 'microsoft365'), name: 'branch', tls: { verify: false } },
  ])
  const states = { tenant: 'live', 'azure-emea': 'waiting', gcp: 'live', 'azure-us': 'refused', branch: 'backing-off' }
  for (const [name, state] of Object.entries(states)) {
    await eventually(`${name} ${state}`, async () => (await statusOf(url, name)).get('state') === state)
  }
  for (let i = 0; i < 20; i += 1) {
    await Promise.all([get(url, '/tenant/v8/Jobs'), get(url, '/gcp/api/v1/policies'), get(url, '/branch/v8/Jobs')])
  }
  return url
}
