import { type Directives, directivesOf } from './cache-control.ts'

/** What the fields of an answer say of keeping it. */
export interface AnswerHead {
  readonly status: number
  readonly reason: string
  /** As they go down: flat. */
  readonly fields: readonly string[]
  readonly directives: Directives
  readonly type: string | undefined
  /** Bytes of the body, where that is said. */
  readonly length: number | undefined
  readonly age: string | undefined
  readonly date: string | undefined
  readonly expires: string | undefined
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  /** Names in lower case. */
  readonly vary: readonly string[]
}

const NO_NAMES: readonly string[] = []

/** Reads the head of an answer. Of a field that occurs more than once the last one counts, but for lists. */
export function answerHead(status: number, reason: string, fields: readonly string[]): AnswerHead {
  const values: Record<string, string> = {}
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]?.toLowerCase() ?? ''
    const value = fields[i + 1] ?? ''
    const isList = name === 'cache-control' || name === 'vary'
    values[name] = isList && values[name] !== undefined ? `${values[name]}, ${value}` : value
  }
  const { 'content-length': length, vary } = values
  return {
    status,
    reason,
    fields,
    directives: directivesOf(values['cache-control']),
    type: values['content-type'],
    length: length === undefined ? undefined : Number(length),
    age: values.age,
    date: values.date,
    expires: values.expires,
    etag: values.etag,
    lastModified: values['last-modified'],
    vary: vary === undefined ? NO_NAMES : vary.split(',').map(name => name.trim().toLowerCase()),
  }
}
