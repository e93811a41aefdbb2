// One connection kept open, field names in the case they were given, uploads without a length in chunks.
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { pipeline } from 'node:stream/promises'

const { BASE, TOKEN, LIST, DOWNLOAD, UPLOAD, SIGN_OUT, FILE, EARLIER, CA } = process.env
const isSecure = BASE.startsWith('https:')
const options = { keepAlive: true, maxSockets: 1, ...(CA === '' ? {} : { ca: readFileSync(CA) }) }
const agent = isSecure ? new SecureAgent(options) : new Agent(options)
const tell = (name, value) => console.log(`${name} ${value}`)

async function ask(url, { method = 'GET', headers = {}, body } = {}) {
  const outgoing = (isSecure ? secureRequest : request)(url, { method, headers, agent, timeout: 20_000 })
  const answered = new Promise((resolve, reject) => outgoing.once('response', resolve).once('error', reject))
  if (typeof body === 'object') await pipeline(body, outgoing)
  else outgoing.end(body)
  const answer = await answered
  const chunks = []
  for await (const chunk of answer) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  if (answer.statusCode >= 300) throw new Error(`${url}: ${answer.statusCode} ${bytes}`)
  return { status: answer.statusCode, bytes, json: () => JSON.parse(bytes.toString()) }
}

tell('earlier', (await ask(`${BASE}${LIST}`, { headers: { Authorization: `Bearer ${EARLIER}` } })).status)
const signedIn = await ask(`${BASE}${TOKEN}`, {
  method: 'POST',
  headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  body: 'Username=nobody&Password=n0nsense&refresh_token=&grant_type=Password&mfa_token=&mfa_code=',
})
tell('signed-in', signedIn.status)
const token = signedIn.json().access_token
const headers = { Authorization: `Bearer ${token}` }
tell('token', token)

let items = 0
for (let at = `${BASE}${LIST}`; at !== undefined; ) {
  const page = (await ask(at, { headers })).json()
  items += (page.results ?? page.data).length
  const link = page._links?.next
  // Google Cloud's pages have no links, but a total.
  const isMore = items < (page.meta?.totalCount ?? 0)
  at = link ? new URL(link.href, at).href : isMore ? `${BASE}${LIST}&$offset=${items}` : undefined
}
tell('items', items)

const { bytes } = await ask(`${BASE}${DOWNLOAD}`, { headers })
tell('download', createHash('sha256').update(bytes).digest('hex'))
const upload = { method: 'POST', headers, body: createReadStream(FILE) }
tell('chunked', (await ask(`${BASE}${UPLOAD}`, upload)).json().sha256)

const [method, path] = SIGN_OUT.split(' ')
tell('signed-out', (await ask(`${BASE}${path}`, { method, headers })).status)
agent.destroy()
