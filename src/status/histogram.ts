import { BOUNDS, SOURCES, type Tally } from './tally.ts'

const NAME = 'veeam_auth_proxy_request_duration_seconds'
const HELP = 'Seconds from the arrival of a request to the end of its answer.'

/** The series of all durations in the text format: prom-client cannot take over what was counted elsewhere. */
export function durationSeries(tallies: ReadonlyMap<string, Tally>): string {
  const lines = [`# HELP ${NAME} ${HELP}`, `# TYPE ${NAME} histogram`]
  for (const [appliance, { durations }] of tallies) {
    for (const source of SOURCES) {
      const { counts, seconds } = durations[source]
      const labels = `appliance="${appliance}",source="${source}"`
      let sum = 0
      const buckets = [...counts].map((count, i) => {
        sum += count
        return `${NAME}_bucket{${labels},le="${BOUNDS[i] ?? '+Inf'}"} ${sum}`
      })
      if (sum > 0) lines.push(...buckets, `${NAME}_sum{${labels}} ${seconds}`, `${NAME}_count{${labels}} ${sum}`)
    }
  }
  return `${lines.join('\n')}\n`
}
