/** Directives of `Cache-Control` by name in lower case; the value is empty where there is none. */
export type Directives = ReadonlyMap<string, string>

const DIRECTIVE = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?/g

const NONE: Directives = new Map()

/** Reads a field's value, or several lines of it with commas between (RFC 9111, section 5.2). */
export function directivesOf(value: string | undefined): Directives {
  if (value === undefined) return NONE
  const directives = new Map<string, string>()
  for (const [, name = '', quoted, plain = ''] of value.matchAll(DIRECTIVE)) {
    const key = name.toLowerCase()
    const said = quoted ?? plain
    const other = directives.get(key)
    // Of two that disagree the shorter time counts (RFC 9111, section 4.2.1).
    if (other === undefined || seconds(said) < seconds(other)) directives.set(key, said)
  }
  return directives
}

/** Milliseconds that a directive states; 0 for what is no number; undefined without the directive. */
export function timeIn(directives: Directives, name: string): number | undefined {
  const value = directives.get(name)
  return value === undefined ? undefined : seconds(value) * 1000
}

/** What is no number of seconds counts as none; what is more than fits is as good as for ever. */
export function seconds(text: string): number {
  return /^\d+$/.test(text) ? Math.min(Number(text), 2 ** 31) : 0
}
