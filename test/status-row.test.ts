import assert from 'node:assert/strict'
import test from 'node:test'
import type { FailureCode } from '../src/errors.ts'
import { History } from '../src/status/history.ts'
import { cells } from '../src/status/page/cells.ts'
import { html } from '../src/status/page/html.ts'
import { rowOf } from '../src/status/page/row.ts'
import { get, statusOf } from './caller.ts'
import { type Context, eventually, startBox } from './rig.ts'

const DAY = 86_400_000

async function startLive(t: Context) {
  const box = await startBox(t, { product: 'azure' })
  await eventually('live', async () => (await statusOf(box.url)).get('state') === 'live')
  const appliance = box.server.appliances.get('box')
  assert.ok(appliance)
  return { ...box, appliance }
}

test('a certificate tells its trust and the days left, and warns in words and by a sign below thirty', async t => {
  const { appliance } = await startLive(t)
  const row = rowOf(appliance, new History())
  const shown = (days: number) =>
    cells.certificate({ ...row, certificateExpires: Date.now() + (days + 0.5) * DAY }).text
  assert.match(shown(64), /own authority.*64 days left/s)
  assert.doesNotMatch(shown(64), /warn/)
  assert.match(shown(29), /warned.*#sign-warn.*29 days left/s)
  assert.match(shown(1), /1 day left/)
  assert.match(shown(-3), /#sign-warn.*expired/s)
  assert.match(cells.certificate({ ...row, trust: 'not verified' }).text, /warned.*#sign-warn.*not verified/s)
  assert.match(cells.certificate({ ...row, certificateExpires: undefined }).text, /own authority/)
})

test('requests that fail while there is a session tell what to do, but not what the session tells by itself', async t => {
  const { appliance } = await startLive(t)
  const shown = (failure: FailureCode | undefined, status: number) => {
    const history = new History()
    history.record({ appliance: 'box', fromUpstream: failure === undefined, failure, firstByte: 1, path: '/' }, status)
    return rowOf(appliance, history).trouble
  }
  assert.match(shown('APPLIANCE_TIMEOUT', 504)?.remedy ?? '', /raise timeouts/)
  assert.match(shown(undefined, 500)?.detail ?? '', /answered 500/)
  assert.equal(shown('NOT_SIGNED_IN', 503), undefined)
})

test('whatever an appliance answers, it is text on the page', async t => {
  const { appliance } = await startLive(t)
  const row = rowOf(appliance, new History())
  const detail = `<img src=x onerror="alert(1)">'"&`
  const { text } = cells.trouble({ ...row, trouble: { title: '', detail, remedy: '', at: 0, times: 1 } })
  assert.ok(text.includes('&#60;img src=x onerror=&#34;alert(1)&#34;&#62;&#39;&#34;&#38;'))
  assert.equal(html`<p>${[html`<b>${'<'}</b>`, undefined, 7]}</p>`.text, '<p><b>&#60;</b>7</p>')
})

test('every request is noted by its appliance, and pages of the proxy by none', async t => {
  const { url } = await startLive(t)
  for (let i = 0; i < 3; i += 1) assert.equal((await get(url, '/box/api/v8.1/policies')).status, 200)
  await get(url, '/box/api/oauth2/token')
  await eventually('the page tells', async () => /at most 0\.[12]; 0 % failed/.test((await get(url, '/')).text))
  assert.match((await get(url, '/')).text, /API v8\.1/)
})
