import autocannon from 'autocannon'

// The load where wrk is not installed. Prints the same line; its times are whole milliseconds.
const { url, connections, duration } = JSON.parse(process.argv[2])
const result = await autocannon({
  url,
  connections,
  duration: duration / 1000,
  headers: { accept: 'application/json' },
})
const { latency, requests, non2xx, errors } = result
const micros = milliseconds => Math.round(milliseconds * 1000)
process.stdout.write(
  `${JSON.stringify({
    requests: requests.total,
    seconds: result.duration,
    errors: non2xx + errors,
    p50: micros(latency.p50),
    p99: micros(latency.p99),
    p999: micros(latency.p99_9),
  })}\n`,
)
