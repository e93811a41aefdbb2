import assert from 'node:assert/strict'
import test from 'node:test'
import { get } from './caller.ts'
import { eventually, startBox } from './rig.ts'

test('a process that cannot keep up turns requests away at once, stays live, and goes on when it can', async t => {
  const { url } = await startBox(t, { product: 'azure' }, {}, { longestDelay: 200 })
  await eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  assert.equal((await get(url, '/box/api/v8.1/policies')).status, 200)
  const busy = setInterval(() => {
    const end = Date.now() + 500
    while (Date.now() < end);
  }, 1)
  t.after(() => clearInterval(busy))
  const turnedAway = await turnedAwayAt(`${url}/box/api/v8.1/policies`)
  assert.ok(Number(turnedAway.headers.get('retry-after')) > 0)
  assert.match(await turnedAway.text(), /"code":"OVERLOADED"/)
  assert.equal((await fetch(`${url}/-/livez`)).status, 200)
  clearInterval(busy)
  await eventually('it goes on', async () => (await get(url, '/box/api/v8.1/policies')).status === 200)
})

async function turnedAwayAt(url: string): Promise<Response> {
  for (let i = 0; i < 40; i += 1) {
    const answer = await fetch(url)
    if (answer.status === 503) return answer
    await answer.text()
  }
  throw new Error('every request was forwarded')
}
