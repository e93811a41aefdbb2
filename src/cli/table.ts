/** Columns aligned by spaces; the first row is the heading. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Where an appliance is served, when that is more than where every other is: under its name. */
export function servedSentence(name: string, addresses: readonly string[]): string | undefined {
  return addresses.length > 1 ? `${name} is served at ${addresses.join(' and ')}` : undefined
}
