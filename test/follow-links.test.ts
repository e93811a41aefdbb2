import assert from 'node:assert/strict'
import { request } from 'node:http'
import test from 'node:test'
import { simulatorRoot } from '../src/simulator/index.ts'
import { get } from './caller.ts'
import { startBox } from './rig.ts'

/** Follows `_links.next.href` from a page to the last, as a collector does; the number of items and every link seen. */
async function followed(first: string, resolve: (href: string, from: string) => string, host?: string) {
  const links: string[] = []
  let items = 0
  for (let url: string | undefined = first; url !== undefined; ) {
    const page: { results: unknown[]; _links?: { next?: { href: string } } } = JSON.parse(await text(url, host))
    items += page.results.length
    const href = page._links?.next?.href
    if (href !== undefined) links.push(href)
    url = href === undefined ? undefined : resolve(href, url)
    assert.ok(links.length < 100, 'the pages come to an end')
  }
  return { items, links }
}

function text(url: string, host?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fields = host === undefined ? {} : { host }
    request(url, { headers: fields }, response => {
      let body = ''
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve(body))
    })
      .on('error', reject)
      .end()
  })
}

test('a list of azure is read to its end by its absolute links, which lead to the proxy', async t => {
  const { url } = await startBox(t, { product: 'azure' })
  const { items, links } = await followed(`${url}/box/api/v8.1/policies?limit=7`, href => href)
  assert.ok(items > 14 && links.length >= 2)
  for (const link of links) assert.ok(link.startsWith(`${url}/box/api/v8.1/policies?`), link)
})

test('a list of microsoft365 is read to its end by its links from the root, under a mount', async t => {
  const { url } = await startBox(t, { product: 'microsoft365' })
  const { items, links } = await followed(`${url}/box/v8/Jobs?limit=7`, (href, from) => new URL(href, from).href)
  assert.ok(items > 14)
  for (const link of links) assert.match(link, /^\/box\/v8\/Jobs\?/i)
})

test('at the root of NAME.localhost links from the root stay as they are', async t => {
  const { url } = await startBox(t, { product: 'microsoft365' })
  const resolve = (href: string) => `${url}${href}`
  const { items, links } = await followed(`${url}/v8/Jobs?limit=7`, resolve, 'box.localhost')
  assert.ok(items > 14)
  for (const link of links) assert.match(link, /^\/v8\/Jobs\?/i)
})

test('with rewriteLinks off bodies stay as they are, length included', async t => {
  const { url, simulator } = await startBox(t, { product: 'azure' }, { rewriteLinks: false })
  const { text: body, fields } = await get(url, '/box/api/v8.1/policies?limit=7')
  assert.ok(body.includes(`"${simulator.url}/api/v8.1/policies?`))
  assert.equal(Number(fields['content-length']), Buffer.byteLength(body))
})

test('a body that is rewritten states the length that it has then, and downloads keep theirs', async t => {
  const { url } = await startBox(t, { product: 'azure' })
  const { fields, text: body } = await get(url, '/box/api/v8.1/policies?limit=7')
  assert.equal(Number(fields['content-length']), Buffer.byteLength(body))
  const download = await get(url, `/box${simulatorRoot.azure}/downloads/large?bytes=1000`)
  assert.equal(download.fields['content-length'], '1000')
})
