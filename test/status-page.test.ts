import assert from 'node:assert/strict'
import { Redactor } from '../src/redactor.ts'
import { ProxyServer } from '../src/server.ts'
import { inBrowser } from './browser.ts'
import { get } from './caller.ts'
import { assertClean, open, openBox, shows, startFive } from './page-rig.ts'
import { applianceAt, eventually, silent, simulate, startProxy } from './rig.ts'

inBrowser('the page tells of each appliance how it is, what goes on there and how to use it', async t => {
  const { url, simulator, page, row, ...seen } = await openBox(t, { tokenLife: 1000 })
  for (let i = 0; i < 5; i += 1) assert.equal((await get(url, '/box/api/v8.1/policies')).status, 200)
  for (const words of [
    'box',
    'Veeam Backup for Microsoft Azure',
    'API v8.1',
    simulator.url,
    'Live',
    /renews in \d+ min/,
    /expires in \d+ min/,
    'own authority',
    /0\.\d+ req\/s/,
    '0 % errors',
    /p50 [\d.]+ ms/,
    /p99 [\d.]+ ms/,
  ]) {
    await shows(row, words)
  }
  assert.match(
    (await row.locator('svg.spark').getAttribute('aria-label')) ?? '',
    /^Requests over the last 15 minutes: /,
  )
  const width = Number.parseFloat((await row.locator('.bar rect').getAttribute('width')) ?? '')
  assert.ok(width > 90 && width <= 100, `${width} % left`)
  const examples = page.locator('#examples')
  for (const words of [
    `curl '${url}/box/api/v8.1/policies'`,
    `url: ${url}/box`,
    `urls = ["${url}/box/api/v8.1/policies"]`,
  ]) {
    await shows(examples, words)
  }
  assert.deepEqual(await page.context().cookies(), [])
  assertClean({ page, ...seen })
})

inBrowser('an example can be copied, for the appliance that is chosen', async t => {
  const url = await startFive(t)
  const { page, ...seen } = await open(t, url, { permissions: ['clipboard-read', 'clipboard-write'] })
  await page.getByRole('combobox', { name: 'Appliance' }).selectOption('gcp')
  await shows(page.locator('#examples'), `curl '${url}/gcp/api/v1/policies'`)
  await page.getByRole('button', { name: 'Copy curl' }).click()
  await page.getByRole('button', { name: 'Copied curl' }).waitFor()
  const copied = String(await page.evaluate('navigator.clipboard.readText()'))
  assert.equal(copied, `curl '${url}/gcp/api/v1/policies'`)
  const [, address = ''] = /'(.*)'/.exec(copied) ?? []
  assert.match(await (await fetch(address)).text(), /"data"/)
  assertClean({ page, ...seen })
})

inBrowser('a state changes on screen when the appliance fails and when it is well again', async t => {
  const { simulator, page, row, ...seen } = await openBox(t, { tokenLife: 8 })
  await shows(row, 'Live')
  simulator.misbehave({ where: 'token', answer: 503 })
  await page.getByRole('button', { name: 'Renew now box' }).click()
  await shows(page.locator('#notice'), 'The appliance cannot serve a sign-in now')
  await shows(row, 'Live, not renewed')
  await shows(row, 'Trying again')
  await shows(row, 'The appliance cannot serve a sign-in now')
  await shows(row, 'What to do Wait; the proxy tries again by itself')
  await shows(row, /next try (in \d+ s|now)/)
  assert.equal(await page.title(), '(1) veeam-auth-proxy')
  simulator.misbehave(undefined)
  await page.getByRole('button', { name: 'Sign in box' }).click()
  await shows(row, 'Live')
  await row.locator('.trouble').waitFor({ state: 'hidden' })
  assert.equal(await page.title(), 'veeam-auth-proxy')
  await shows(page.locator('#spoken'), 'box: Live')
  assert.deepEqual(seen.elsewhere, [])
})

inBrowser('the bar runs down to the next renewal and begins anew with it', async t => {
  const { row } = await openBox(t, { tokenLife: 8 })
  const left = async () => Number.parseFloat((await row.locator('.bar rect').getAttribute('width')) ?? '')
  const first = await left()
  await eventually('it runs from second to second', async () => (await left()) < first && (await left()) % 10 !== 0)
  await eventually('half of it is gone', async () => (await left()) < 50)
  await eventually('it is full again', async () => (await left()) > 75)
})

inBrowser('requests and their failures show while the page is open', async t => {
  const { url, simulator, row } = await openBox(t)
  await shows(row, 'no requests')
  assert.equal((await get(url, '/box/api/v8.1/policies')).status, 200)
  await shows(row, /p50 [\d.]+ m?s/)
  simulator.misbehave({ where: 'resources', answer: 500 })
  for (let i = 0; i < 3; i += 1) await get(url, '/box/api/v8.1/policies')
  await shows(row, '75 % errors')
  await shows(row, 'Requests fail (3 times)')
  assert.match((await row.locator('.spark .failed').getAttribute('d')) ?? '', /^M/)
})

inBrowser('appliances that come and go with the configuration come and go on screen', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const named = (name: string) => ({ ...applianceAt(simulator, 'azure'), name })
  const { url, server } = await startProxy(t, [named('one'), named('two')], {
    load: async () => ({ ...server.configuration, appliances: [named('one'), named('three')] }),
  })
  const { page, ...seen } = await open(t, url)
  await page.locator('#appliance-two').waitFor()
  await shows(page.locator('#connection'), 'Connected')
  await server.reload()
  await page.locator('#appliance-three').waitFor()
  assert.equal(await page.locator('#appliance-two').count(), 0)
  assertClean({ page, ...seen })
})

inBrowser('a page that is left open holds no shutdown up, and goes on when the proxy is back', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const { url, server } = await startProxy(t, [applianceAt(simulator, 'azure')])
  const { page } = await open(t, url)
  await shows(page.locator('#connection'), 'Connected')
  const began = performance.now()
  await server.close(10_000)
  assert.ok(performance.now() - began < 5_000)
  await shows(page.locator('#connection'), 'Not connected, trying again')
  const address = { host: '127.0.0.1', port: Number(new URL(url).port) }
  const again = await ProxyServer.start(
    { ...server.configuration, listen: { address, files: [] } },
    { log: silent, redactor: new Redactor(), version: '0.0.1-test' },
  )
  t.after(() => again.close(500))
  await shows(page.locator('#connection'), /^Connected$/)
})
