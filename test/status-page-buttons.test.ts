import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inBrowser, openWindow } from './browser.ts'
import { call, get, statusOf } from './caller.ts'
import { assertClean, codeNow, open, openBox, shows, totpSecret } from './page-rig.ts'
import { eventually, secret, startBox } from './rig.ts'

inBrowser('a code typed into the page completes a sign-in, and a wrong one is told so', async t => {
  const { simulator, url, page, row, ...seen } = await openBox(t, { totpSecret })
  await shows(row, 'Waiting for a code')
  const field = page.getByLabel('Code for box')
  await field.fill('not a code')
  await field.press('Enter')
  await shows(page.locator('#notice'), 'The appliance refused the code')
  await field.fill(codeNow())
  await page.getByRole('button', { name: 'Give code box' }).click()
  await shows(row, 'Live')
  await shows(page.locator('#notice'), 'box: the code was accepted.')
  assert.equal((await statusOf(url)).get('grant'), 'mfa')
  assert.deepEqual([simulator.counts.signIns, simulator.counts.mfa], [1, 1])
  assert.deepEqual(seen.elsewhere, [])
})

inBrowser('a cell that somebody types into is left alone until they leave it', async t => {
  const { url, page, row } = await openBox(t, { totpSecret, latency: 2_500 })
  const field = page.getByLabel('Code for box')
  await field.pressSequentially('12')
  // Asks for a code anew, which takes the field away for as long as it lasts.
  const asked = call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
  await shows(row, 'Signing in')
  await page.keyboard.type('34')
  assert.equal(await field.inputValue(), '1234')
  await page.getByRole('searchbox').focus()
  await field.waitFor({ state: 'detached' })
  assert.equal((await asked).status, 503)
  await field.waitFor()
})

inBrowser('the session is renewed, ended and begun anew by buttons, with the keyboard alone', async t => {
  const { simulator, url, page, row, ...seen } = await openBox(t)
  await page.getByRole('button', { name: 'Renew now box' }).focus()
  await page.keyboard.press('Enter')
  await shows(page.locator('#notice'), 'box: the session was renewed.')
  assert.equal(simulator.counts.refreshes, 1)
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  const asked = page.getByRole('dialog', { name: 'Sign out of box?' })
  await asked.waitFor()
  await page.keyboard.press('Escape')
  await asked.waitFor({ state: 'detached' })
  assert.equal(simulator.counts.signOuts, 0, 'it can be called off')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await shows(row, 'Signed out')
  assert.deepEqual([simulator.counts.signOuts, (await get(url, '/box/x')).status], [1, 503])
  await eventually('the focus is on what comes next', async () => {
    return String(await page.evaluate('document.activeElement.textContent')) === 'Sign in box'
  })
  await page.keyboard.press('Enter')
  await shows(row, 'Live')
  assert.equal(simulator.counts.signIns, 2)
  assertClean({ page, ...seen })
})

inBrowser('a form, a request and a frame of another site get nowhere', async t => {
  const { simulator, url } = await startBox(t, { product: 'azure' })
  await eventually('live', async () => (await statusOf(url)).get('state') === 'live')
  const target = `${url}/-/appliances/box/sign-out`
  const site = createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(`<title>Evil</title><iframe src="${url}/"></iframe>
<form method="post" action="${target}"><button>Win a prize</button></form>
<script>window.sent = fetch('${target}', { method: 'POST', mode: 'no-cors' }).then(() => 'sent')</script>`)
  })
  site.listen(0, '127.0.0.1')
  t.after(() => site.close())
  await new Promise(resolve => site.once('listening', resolve))
  const address: AddressInfo | string | null = site.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  // Of the same host and another port, and of another host altogether.
  for (const origin of [`http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
    const { page } = await openWindow(t)
    await page.goto(origin)
    assert.equal(await page.evaluate('sent'), 'sent')
    assert.equal(await page.frameLocator('iframe').getByRole('button').count(), 0, 'no frame shows the page')
    await page.getByRole('button', { name: 'Win a prize' }).click()
    await shows(page.locator('body'), 'ORIGIN_DENIED')
    assert.equal(page.url(), target)
  }
  assert.equal(simulator.counts.signOuts, 0)
  assert.equal((await statusOf(url)).get('state'), 'live')
})

inBrowser('without JavaScript it is a plain table, and its forms work', async t => {
  const { simulator, url } = await startBox(t, { product: 'azure', totpSecret })
  await eventually('waiting', async () => (await statusOf(url)).get('state') === 'waiting')
  const { page, ...seen } = await open(t, url, { javaScriptEnabled: false })
  const row = page.locator('#appliance-box')
  await shows(page.locator('#summary'), '1 in all, 0 live, 1 in need of attention.')
  await page.getByLabel('Code for box').fill('000000')
  await page.getByRole('button', { name: 'Give code box' }).click()
  await shows(page.locator('#notice'), 'The appliance refused the code')
  await page.getByLabel('Code for box').fill(codeNow())
  await page.getByRole('button', { name: 'Give code box' }).click()
  await shows(page.locator('#notice'), 'box: the code was accepted.')
  await shows(row, /Live.*renews [\d: -]+UTC/s)
  await page.getByRole('button', { name: 'Renew now box' }).click()
  await shows(page.locator('#notice'), 'box: the session was renewed.')
  await page.getByRole('button', { name: 'Sign out box' }).click()
  await shows(row, 'Signed out')
  await page.reload()
  assert.equal(simulator.counts.signOuts, 1, 'loading the page again presses nothing')
  await page.getByRole('button', { name: 'Sign in box' }).click()
  await shows(row, 'Waiting for a code')
  await page.getByRole('button', { name: 'Show' }).click()
  await shows(page.locator('#examples'), `curl '${url}/box/api/v8.1/policies'`)
  assert.ok(await page.locator('#tools').isHidden())
  assertClean({ page, ...seen })
})

inBrowser('with callers the browser asks who it is, and a reader sees the page without buttons', async t => {
  const callers = [
    { name: 'reader', secret: secret('a-secret-for-the-reader'), rule: {}, admin: false },
    { name: 'boss', secret: secret('a-secret-for-the-boss'), rule: {}, admin: true },
  ]
  const { simulator, url } = await startBox(t, { product: 'azure' }, {}, { guard: { callers } })
  await eventually('signed in', () => simulator.counts.signIns === 1)
  assert.equal((await fetch(`${url}/`)).status, 401)
  const as = (username: string) => ({ httpCredentials: { username, password: `a-secret-for-the-${username}` } })
  const reader = await open(t, url, as('reader'))
  await shows(reader.page.locator('#appliance-box'), 'Live')
  await shows(reader.page.locator('#connection'), 'Connected')
  assert.equal(await reader.page.locator('tbody button').count(), 0)
  await shows(reader.page.locator('#examples'), 'curl -H "x-proxy-key: $PROXY_KEY"')
  const boss = await open(t, url, as('boss'))
  await boss.page.getByRole('button', { name: 'Renew now box' }).click()
  await shows(boss.page.locator('#notice'), 'box: the session was renewed.')
  assert.equal(simulator.counts.refreshes, 1)
})
