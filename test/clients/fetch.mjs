// Sends Sec-Fetch-Mode without an Origin, and signs in anew for what it is about to do next.
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'

const { BASE, TOKEN, LIST, DOWNLOAD, UPLOAD, SIGN_OUT, FILE, EARLIER } = process.env
const ask = async (url, options = {}) => {
  const answer = await fetch(url, { signal: AbortSignal.timeout(20_000), ...options })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return answer
}
const tell = (name, value) => console.log(`${name} ${value}`)

const earlier = await ask(`${BASE}${LIST}`, { headers: { authorization: `Bearer ${EARLIER}` } })
tell('earlier', earlier.status)
await earlier.arrayBuffer()

const form = {
  grant_type: 'password',
  username: 'nobody',
  password: 'n0nsense &+=%',
  disable_antiforgery_token: 'true',
}
const signIn = () => ask(`${BASE}${TOKEN}`, { method: 'POST', body: new URLSearchParams(form) })
await (await signIn()).json()
const signedIn = await signIn()
const { access_token: token } = await signedIn.json()
const headers = { authorization: `Bearer ${token}` }
tell('signed-in', signedIn.status)
tell('token', token)

let items = 0
for (let at = `${BASE}${LIST}`; at !== undefined; ) {
  const answer = await ask(at, { headers })
  const { results, _links: links } = await answer.json()
  items += results.length
  at = links.next && new URL(links.next.href, answer.url).href
}
tell('items', items)

const bytes = Buffer.from(await (await ask(`${BASE}${DOWNLOAD}`, { headers })).arrayBuffer())
tell('download', createHash('sha256').update(bytes).digest('hex'))
const whole = await ask(`${BASE}${UPLOAD}`, { method: 'PUT', headers, body: readFileSync(FILE) })
tell('upload', (await whole.json()).sha256)
const streamed = { method: 'POST', headers, body: ReadableStream.from(createReadStream(FILE)), duplex: 'half' }
tell('chunked', (await (await ask(`${BASE}${UPLOAD}`, streamed)).json()).sha256)

const [method, path] = SIGN_OUT.split(' ')
tell('signed-out', (await ask(`${BASE}${path}`, { method, headers })).status)
