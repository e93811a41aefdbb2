/** Text, or text with what is to be done to it once it has its width: colours take no room. */
export type Cell = string | { text: string; paint: (padded: string) => string }

/** Columns aligned by spaces; the first row is the heading. */
export function tableOf(rows: readonly (readonly Cell[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => textIn(row[column]).length)))
  return rows
    .map(row => {
      const last = row.length - 1
      return row.map((cell, column) => painted(cell, column === last ? 0 : (widths[column] ?? 0))).join('  ')
    })
    .join('\n')
}

/** Where an appliance is served, when that is more than where every other is: under its name. */
export function servedSentence(name: string, addresses: readonly string[]): string | undefined {
  return addresses.length > 1 ? `${name} is served at ${addresses.join(' and ')}` : undefined
}

function textIn(cell: Cell = ''): string {
  return typeof cell === 'string' ? cell : cell.text
}

function painted(cell: Cell, width: number): string {
  const padded = textIn(cell).padEnd(width)
  return typeof cell === 'string' ? padded : cell.paint(padded)
}
