import assert from 'node:assert/strict'
import test from 'node:test'
import { parse } from 'yaml'
import { simulatedProducts } from '../src/simulator/index.ts'
import { examplesFor } from '../src/status/page/examples.ts'
import { jsonOf } from './caller.ts'
import { startBox } from './rig.ts'

const nobodyAsked = { root: undefined, asksCallers: false }

for (const product of simulatedProducts) {
  test(`the examples for ${product} ask for something that is there, and find its list`, async t => {
    const { url, server } = await startBox(t, { product })
    const box = server.appliances.get('box')
    assert.ok(box)
    const [curl, infinity, telegraf] = examplesFor(box, { ...nobodyAsked, origin: url }).map(({ text }) => text)
    const address = /'(.*)'/.exec(curl ?? '')?.[1] ?? ''
    const answer = await fetch(address)
    assert.equal(answer.status, 200)
    const list = /json_query = "(.*)"/.exec(telegraf ?? '')?.[1] ?? ''
    assert.ok(Array.isArray(jsonOf(await answer.text()).get(list)))
    assert.ok(telegraf?.includes(`urls = ["${address}"]`))
    const [, path = '', root = ''] = /URL (\S+), root (\S+)$/.exec(infinity ?? '') ?? []
    assert.deepEqual([`${parse(infinity ?? '').datasources[0].url}${path}`, root], [address, list])
  })
}

test('the examples leave the name out where the appliance is served at the root, and bring the key where one is wanted', async t => {
  const { server } = await startBox(t, { product: 'azure' }, {}, { mount: 'root' })
  const box = server.appliances.get('box')
  assert.ok(box)
  const there = { origin: 'https://proxy.example', root: 'box', asksCallers: true }
  const [curl = '', infinity = '', telegraf = ''] = examplesFor(box, there).map(({ text }) => text)
  assert.equal(curl, `curl -H "x-proxy-key: $PROXY_KEY" 'https://proxy.example/api/v8.1/policies'`)
  assert.deepEqual(parse(infinity).datasources[0], {
    name: 'box',
    type: 'yesoreyeram-infinity-datasource',
    url: 'https://proxy.example',
    jsonData: { auth_method: 'bearerToken', allowedHosts: ['https://proxy.example'] },
    secureJsonData: { bearerToken: '$PROXY_KEY' },
  })
  assert.match(telegraf, /^ {2}headers = \{ "x-proxy-key" = "\$\{PROXY_KEY\}" \}$/m)
})
