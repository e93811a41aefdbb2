import assert from 'node:assert/strict'
import { accessibilityFaults, inBrowser, keepPicture } from './browser.ts'
import { get, statusOf } from './caller.ts'
import { assertClean, open, shows, startFive } from './page-rig.ts'
import { applianceAt, eventually, simulate, startProxy } from './rig.ts'

for (const colorScheme of ['light', 'dark'] as const) {
  inBrowser(`axe finds nothing in the ${colorScheme} theme, wide or narrow`, async t => {
    const url = await startFive(t)
    const { page, ...seen } = await open(t, url, { colorScheme, reducedMotion: 'reduce' })
    await shows(page.locator('#connection'), 'Connected')
    await keepPicture(page, `status-page-${colorScheme}`)
    assert.deepEqual(await accessibilityFaults(page), [])
    await page.getByRole('button', { name: 'Sign out tenant' }).click()
    await page.getByRole('dialog').waitFor()
    assert.deepEqual(await accessibilityFaults(page), [], 'with the dialog')
    await page.keyboard.press('Escape')
    await page.setViewportSize({ width: 360, height: 740 })
    assert.deepEqual(await accessibilityFaults(page), [], 'on a phone')
    assertClean({ page, ...seen })
  })
}

inBrowser('the page is as wide as a phone and no wider, with every state on it', async t => {
  const url = await startFive(t)
  const { page } = await open(t, url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true })
  await shows(page.locator('#connection'), 'Connected')
  await keepPicture(page, 'status-page-phone')
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
  await page.getByRole('button', { name: 'Renew now tenant' }).tap()
  await shows(page.locator('#notice'), 'tenant: the session was renewed.')
})

inBrowser('a hundred appliances can be filtered and sorted', async t => {
  const simulator = await simulate(t, { product: 'azure' })
  const wrong = await simulate(t, { product: 'azure', password: 'another' })
  const names = Array.from({ length: 100 }, (_, i) => `site-${i}`)
  const boxes = names.map((name, i) => ({ ...applianceAt(i % 25 === 7 ? wrong : simulator, 'azure'), name }))
  const { url } = await startProxy(t, boxes)
  await eventually('signed in', async () => {
    const { json } = await get(url, '/-/readyz')
    return JSON.stringify(json.get('missing')) === JSON.stringify(['site-7', 'site-32', 'site-57', 'site-82'])
  })
  await eventually('refused', async () => (await statusOf(url, 'site-82')).get('state') === 'refused')
  for (let i = 0; i < 6; i += 1) await get(url, '/site-42/api/v8.1/policies')
  const { page, ...seen } = await open(t, url)
  const rows = page.locator('tbody:visible')
  const shown = async () => rows.evaluateAll(groups => groups.map(({ id }) => id.replace('appliance-', '')))
  assert.deepEqual(await shown(), names)
  await shows(page.locator('#tools'), /All 100.*Live 96.*Needs attention 4/)
  await page.getByRole('button', { name: 'Needs attention 4' }).click()
  assert.deepEqual(await shown(), ['site-7', 'site-32', 'site-57', 'site-82'])
  await page.getByRole('button', { name: 'All 100' }).click()
  await page.getByRole('searchbox', { name: 'Filter appliances' }).fill('refused site-3')
  assert.deepEqual(await shown(), ['site-32'])
  await page.getByRole('searchbox').fill('')
  const head = (name: string) => page.getByRole('columnheader', { name })
  await head('Traffic').getByRole('button').click()
  assert.equal((await shown())[0], 'site-42')
  assert.equal(await head('Traffic').getAttribute('aria-sort'), 'descending')
  await head('State').getByRole('button').click()
  assert.deepEqual((await shown()).slice(0, 5), ['site-7', 'site-32', 'site-57', 'site-82', 'site-0'])
  await head('Appliance').getByRole('button').click()
  await head('Appliance').getByRole('button').click()
  assert.deepEqual((await shown()).slice(0, 2), ['site-99', 'site-98'])
  await page.reload()
  assert.deepEqual((await shown()).slice(0, 2), ['site-99', 'site-98'], 'its address holds what was chosen')
  await keepPicture(page, 'status-page-hundred')
  assertClean({ page, ...seen })
})
