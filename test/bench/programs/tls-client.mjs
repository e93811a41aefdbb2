import { readFileSync } from 'node:fs'
import { Pool } from 'undici'

// The other half of the floor: so many requests at a time, each over a pooled TLS connection, as cheaply as undici can.
const { origin, path, token, ca, connections, warmUp, duration } = JSON.parse(process.argv[2])
const pool = new Pool(origin, { connections, pipelining: 1, connect: { ca: readFileSync(ca) } })
const options = { method: 'GET', path, headers: { authorization: `Bearer ${token}`, accept: 'application/json' } }
let answers = 0
let failure
let ending = false

const handler = {
  onRequestStart() {},
  onResponseStart(_, status) {
    if (status !== 200) failure = new Error(`status ${status}`)
  },
  onResponseData() {},
  onResponseEnd() {
    answers += 1
    if (!ending) pool.dispatch(options, handler)
  },
  onResponseError(_, error) {
    failure = error
  },
}

for (let i = 0; i < connections; i += 1) pool.dispatch(options, handler)
await new Promise(resolve => setTimeout(resolve, warmUp))
const before = { answers, cpu: process.cpuUsage(), at: performance.now() }
await new Promise(resolve => setTimeout(resolve, duration))
const { user, system } = process.cpuUsage(before.cpu)
const requests = answers - before.answers
const seconds = (performance.now() - before.at) / 1000
ending = true
if (failure !== undefined) throw failure
process.stdout.write(JSON.stringify({ requests, seconds, cpu: user + system }))
process.exit(0)
