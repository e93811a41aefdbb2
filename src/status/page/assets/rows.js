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

/** What each cell has got last. @type {WeakMap<Element, string>} */
const markupOf = new WeakMap()
/** What a cell gets when nobody types into it any more. @type {WeakMap<Element, string>} */
const postponed = new WeakMap()

/** Lets cells that somebody typed into catch up. */
export function startRows() {
  element('table').addEventListener('focusout', ({ target, relatedTarget }) => {
    const cell = target instanceof Element ? target.closest('td') : null
    const markup = cell === null ? undefined : postponed.get(cell)
    if (cell === null || markup === undefined || (relatedTarget instanceof Node && cell.contains(relatedTarget))) return
    postponed.delete(cell)
    cell.innerHTML = markup
  })
}

/**
 * Keeps the focus where it was, and what is being typed.
 * @param {HTMLElement} cell
 * @param {string} markup
 */
function replace(cell, markup) {
  if (markupOf.get(cell) === markup) return
  markupOf.set(cell, markup)
  postponed.delete(cell)
  const active = cell.contains(document.activeElement) ? document.activeElement : null
  const isSending = cell.querySelector('[aria-busy=true]') !== null
  if (active instanceof HTMLInputElement && active.value !== '' && !isSending) {
    postponed.set(cell, markup)
    return
  }
  cell.innerHTML = markup
  if (!(active instanceof HTMLElement)) return
  const next = cell.querySelector(`[data-verb="${active.dataset.verb}"]`) ?? cell.querySelector('input, button')
  if (next instanceof HTMLElement) next.focus()
}

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
