import { get, type Reply } from './caller.ts'

/** The series of a page in Prometheus' text format: `name{label="value",…}`, labels in the order of their names. */
export function seriesIn(text: string): Map<string, number> {
  const series = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    const sorted = (labels.match(/[a-z_]+="[^"]*"/g) ?? []).toSorted().join()
    series.set(sorted === '' ? name : `${name}{${sorted}}`, Number(value))
  }
  return series
}

/** Names of the metrics that a page describes, those without any series too. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name)
}

export async function scrape(url: string, fields = {}): Promise<{ reply: Reply; series: Map<string, number> }> {
  const reply = await get(url, '/-/metrics', fields)
  return { reply, series: seriesIn(reply.text) }
}
