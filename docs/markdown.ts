/** A table; what stands in its cells is Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

export function code(text: string): string {
  return `\`${text}\``
}

/** Text that means what it says, whatever Markdown would make of it. */
export function prose(text: string): string {
  return text.replaceAll(/[\\*<]/g, '\\$&')
}
