export interface Page {
  offset: number
  limit: number
}

export interface PageRules {
  /** Parameter names, compared without regard to case. */
  offset: string
  limit: string
  defaultLimit: number
  maximumLimit: number
}

export type Item = { id: string } & Record<string, unknown>

/** The page a query asks for; undefined when its numbers are no numbers. */
export function readPage(query: URLSearchParams, rules: PageRules): Page | undefined {
  const page = { offset: 0, limit: rules.defaultLimit }
  for (const [name, text] of query) {
    const lower = name.toLowerCase()
    if (lower !== rules.offset && lower !== rules.limit) continue
    if (!/^\d{1,9}$/.test(text)) return undefined
    if (lower === rules.offset) page.offset = Number(text)
    if (lower === rules.limit) page.limit = Math.min(Number(text), rules.maximumLimit)
  }
  return page.limit === 0 ? undefined : page
}

export function slice<T>(items: readonly T[], { offset, limit }: Page): T[] {
  return items.slice(offset, offset + limit)
}

/** `/lists/ID` -> the list and the id below it; `/lists` -> the list alone. Trailing slashes do not matter. */
export function splitRest(rest: string, names: readonly string[]): { list: string; id?: string } | undefined {
  const path = rest.replace(/\/+$/, '').slice(1)
  for (const list of names) {
    if (path.toLowerCase() === list.toLowerCase()) return { list }
    if (!path.toLowerCase().startsWith(`${list.toLowerCase()}/`)) continue
    const id = path.slice(list.length + 1)
    if (!id.includes('/')) return { list, id }
  }
  return undefined
}
