import { readFileSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'

// So many requests a second, sent when they are due whether or not earlier ones were answered. Times in microseconds,
// from the sending of a request to the end of its answer; waiting for one of the connections is in them.
const { url, token, ca, rate, duration, warmUp } = JSON.parse(process.argv[2])
const { request, Agent } = url.startsWith('https:') ? https : http
const agent = new Agent({ keepAlive: true, maxSockets: 64, ...(ca === undefined ? {} : { ca: readFileSync(ca) }) })
const headers = { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
/** More than this cannot be caught up with. */
const MOST_IN_FLIGHT = 2_000
const times = []
let inFlight = 0
let errors = 0

function send(counts) {
  if (inFlight >= MOST_IN_FLIGHT) {
    errors += 1
    return
  }
  inFlight += 1
  const since = process.hrtime.bigint()
  const done = failed => {
    inFlight -= 1
    if (failed) errors += 1
    else if (counts) times.push(Number(process.hrtime.bigint() - since) / 1000)
  }
  const sent = request(url, { agent, headers }, response => {
    response.resume()
    response.once('end', () => done(response.statusCode !== 200))
  })
  sent.once('error', () => done(true))
  sent.end()
}

const start = performance.now()
const due = () => ((performance.now() - start) * rate) / 1000
const last = ((warmUp + duration) * rate) / 1000
const first = (warmUp * rate) / 1000
let number = 0
while (number < last) {
  for (; number < Math.min(due(), last); number += 1) send(number >= first)
  await new Promise(resolve => setTimeout(resolve, 1))
}
const end = performance.now() + 3_000
while (inFlight > 0 && performance.now() < end) await new Promise(resolve => setTimeout(resolve, 10))

times.sort((a, b) => a - b)
const percentile = share => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0)
const numbers = { p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999) }
const line = { requests: times.length, seconds: duration / 1000, errors: errors + inFlight, ...numbers }
process.stdout.write(`${JSON.stringify(line)}\n`)
process.exit(0)
