import { setClock, tick } from './clock.js'
import { element, groups, keysOf, say } from './dom.js'
import { arrange, remember } from './find.js'

/**
 * What has changed: markup of cells and `keys` as JSON, by appliance. `names` when others came or went.
 * @typedef {{ now: number, rows: Record<string, Record<string, string>>, names?: string[] }} Message
 */

/** @param {Message} message */
export function update({ now, rows, names }) {
  setClock(now)
  const shown = new Map(groups().map(group => [group.dataset.name ?? '', group]))
  /** @type {string[]} */
  const said = []
  for (const [name, parts] of Object.entries(rows)) {
    const group = shown.get(name)
    if (group !== undefined) said.push(...change(name, group, parts))
  }
  tick(element('table'))
  arrange('unless in use')
  if (said.length > 0) say(said.length > 3 ? `${said.length} appliances changed their state` : said.join('. '))
  if (names !== undefined && (names.length !== shown.size || names.some(name => !shown.has(name)))) void reload()
}

/**
 * @param {string} name
 * @param {HTMLElement} group
 * @param {Record<string, string>} parts
 * @returns {string[]} what is worth saying aloud
 */
function change(name, group, { keys, ...cells }) {
  for (const [cell, markup] of Object.entries(cells)) {
    const found = group.querySelector(`[data-cell=${cell}]`)
    if (found instanceof HTMLElement) replace(found, markup)
    const row = found?.closest('tr')
    if (row && cell === 'trouble') row.hidden = markup === ''
  }
  if (keys === undefined) return []
  const before = keysOf(group).word
  group.dataset.keys = keys
  const { word } = keysOf(group)
  return word === before || word === 'Renewing' || before === 'Renewing' ? [] : [`${name}: ${word}`]
}

/**
 * Keeps the focus where it was, and what is being typed.
 * @param {HTMLElement} cell
 * @param {string} markup
 */
function replace(cell, markup) {
  const before = markupOf.get(cell)
  markupOf.set(cell, markup)
  if (before === markup || (before === undefined && cell.innerHTML === markup)) return
  const active = document.activeElement
  if (!(active instanceof HTMLElement) || !cell.contains(active)) {
    cell.innerHTML = markup
    return
  }
  const typed = active instanceof HTMLInputElement ? active.value : ''
  cell.innerHTML = markup
  const again = cell.querySelector(`[data-verb="${active.dataset.verb}"]`) ?? cell.querySelector('input, button')
  if (again instanceof HTMLInputElement) again.value = typed
  if (again instanceof HTMLElement) again.focus()
}

/** @type {WeakMap<HTMLElement, string>} */
const markupOf = new WeakMap()

/** The configuration has other appliances now: takes their rows from the page as it would be loaded anew. */
async function reload() {
  const answer = await fetch('/-/').catch(() => undefined)
  if (!answer?.ok) return
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const table = element('table')
  for (const group of groups()) group.remove()
  table.append(...[...fresh.querySelectorAll('tbody')].map(group => document.adoptNode(group)))
  remember()
  tick(table)
  arrange('now')
}
