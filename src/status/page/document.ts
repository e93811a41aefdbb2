import { type CellName, cells, columns } from './cells.ts'
import { type Html, html } from './html.ts'
import type { Row } from './row.ts'
import { signs } from './signs.ts'

/** What came of a button, told on the page that the browser is led back to. */
export interface Notice {
  text: string
  isGood: boolean
}

/** Each may rely on those before it. */
const styles = ['ground', 'sections', 'table', 'signs', 'narrow']

export interface DocumentParts {
  version: string
  rows: readonly Row[]
  /** Whether whoever reads may press buttons. */
  mayAct: boolean
  notice: Notice | undefined
  examples: Html | undefined
  /** Path under which this version's style sheet and script are found. */
  assets: string
}

/** The whole status page. Complete without its script, which only keeps it up to date. */
export function statusDocument({ version, rows, mayAct, notice, examples, assets }: DocumentParts): string {
  const shownColumns = columns.filter(({ name }) => mayAct || name !== 'actions')
  const heads = shownColumns.map(
    ({ name, title, order, most }) =>
      html`<th scope="col" role="columnheader"${order === undefined ? '' : html` data-sort="${name}"${most ? html` data-most` : ''}`}>${title}</th>`,
  )
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${titleOf(rows)}</title>
<link rel="icon" href="${assets}/icon.svg" type="image/svg+xml">
${styles.map(name => html`<link rel="stylesheet" href="${assets}/${name}.css">`)}
<script type="module" src="${assets}/main.js"></script>
</head>
<body>
${signs}
<header class="top">
<h1><svg class="mark" aria-hidden="true"><use href="#mark"/></svg>veeam-auth-proxy</h1>
<span class="release">${version}</span>
<span id="connection" role="status"></span>
</header>
<main>
<div id="notice" role="status">${notice === undefined ? '' : html`<p class="${notice.isGood ? 'good' : 'bad'}">${notice.text}</p>`}</div>
<section aria-labelledby="appliances-title">
<header><h2 id="appliances-title">Appliances</h2>
<p id="summary">${summaryOf(rows)}</p>
<div id="tools" hidden></div></header>
<noscript><p class="hint">Without scripts this page shows how it was at ${new Date().toISOString().slice(11, 19)} UTC; load it again to see how it is.</p></noscript>
<table role="table" aria-labelledby="appliances-title">
<thead role="rowgroup"><tr role="row">${heads}</tr></thead>
${rows.map(row => rowGroup(row, { mayAct }))}
</table>
<p id="nothing" hidden>No appliance matches.</p>
</section>
${examples}
</main>
<footer><a href="/-/status">/-/status</a> <a href="/-/readyz">/-/readyz</a></footer>
<div id="spoken" class="unseen" role="status"></div>
</body>
</html>
`.text
}

/** One appliance: its cells, and below them what went wrong. */
export function rowGroup(row: Row, { mayAct }: { mayAct: boolean }): Html {
  const shownColumns = columns.filter(({ name }) => mayAct || name !== 'actions')
  const [head, ...rest] = shownColumns
  return html`<tbody role="rowgroup" id="appliance-${row.name}" data-name="${row.name}" data-keys="${JSON.stringify(keysOf(row))}">
<tr role="row"><th scope="row" role="rowheader" data-cell="${head?.name}">${cells.appliance(row)}</th>
${rest.map(({ name, title }) => html`<td role="cell" data-cell="${name}" data-title="${title}">${cells[name](row)}</td>\n`)}</tr>
<tr role="row" class="trouble"${row.trouble === undefined ? html` hidden` : ''}><td role="cell" colspan="${shownColumns.length}" data-cell="trouble">${cells.trouble(row)}</td></tr>
</tbody>
`
}

/** What the page's script filters and sorts by, and tells a screen reader. */
export function keysOf(row: Row): Record<string, string | number | undefined> {
  const orders = columns.flatMap(({ name, order }) => (order === undefined ? [] : [[name, order(row)]]))
  const { word, tone } = row.shown
  return { ...Object.fromEntries(orders), word, tone, trouble: row.trouble === undefined ? 0 : 1 }
}

/** Every cell as the page has it. */
export function cellsOf(row: Row): Record<CellName, string> {
  return {
    appliance: cells.appliance(row).text,
    state: cells.state(row).text,
    session: cells.session(row).text,
    certificate: cells.certificate(row).text,
    traffic: cells.traffic(row).text,
    latency: cells.latency(row).text,
    actions: cells.actions(row).text,
    trouble: cells.trouble(row).text,
  }
}

function counted(rows: readonly Row[]) {
  const of = (...tones: string[]) => rows.filter(({ shown }) => tones.includes(shown.tone)).length
  return { live: of('good'), attention: of('warn', 'bad'), off: of('off'), busy: of('busy') }
}

function titleOf(rows: readonly Row[]): string {
  const { attention } = counted(rows)
  return attention === 0 ? 'veeam-auth-proxy' : `(${attention}) veeam-auth-proxy`
}

function summaryOf(rows: readonly Row[]): string {
  const { live, attention, off, busy } = counted(rows)
  const rest = [
    attention > 0 ? `, ${attention} in need of attention` : '',
    busy > 0 ? `, ${busy} signing in` : '',
    off > 0 ? `, ${off} signed out` : '',
  ]
  return `${rows.length} in all, ${live} live${rest.join('')}.`
}
