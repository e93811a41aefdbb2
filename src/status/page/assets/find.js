import { element, groups, keysOf, make, say } from './dom.js'

/** What of the appliances is shown, by the tone of their state. */
const everything = { kind: 'all', title: 'All', tones: ['good', 'busy', 'warn', 'bad', 'off'] }
const kinds = [
  everything,
  { kind: 'live', title: 'Live', tones: ['good'] },
  { kind: 'attention', title: 'Needs attention', tones: ['warn', 'bad'] },
  { kind: 'off', title: 'Signed out', tones: ['off'] },
]

/** The cells whose text is searched. */
const told = ['appliance', 'state', 'certificate', 'trouble']

/** The order of the configuration.
 * @type {Map<string | undefined, number>}
 */
const places = new Map()

const address = new URLSearchParams(location.search)
const chosen = {
  text: address.get('filter') ?? '',
  kind: address.get('show') ?? 'all',
  sort: address.get('sort') ?? '',
}

/** Takes the order in which the rows stand now for that of the configuration. */
export function remember() {
  places.clear()
  for (const group of groups()) places.set(group.dataset.name, places.size)
}

/** Adds a field to filter by and buttons to sort with, where there is a script to serve them. */
export function startFinding() {
  const field = make('input', {
    type: 'search',
    placeholder: 'Filter',
    'aria-label': 'Filter appliances',
    value: chosen.text,
  })
  field.addEventListener('input', () => choose({ text: field.value }))
  const chips = kinds.map(({ kind, title }) => {
    const chip = make('button', { type: 'button', 'data-kind': kind }, title, ' ', make('b'))
    chip.addEventListener('click', () => choose({ kind }))
    return chip
  })
  element('#tools').append(make('div', { class: 'chips', role: 'group', 'aria-label': 'Show' }, ...chips), field)
  element('#tools').hidden = false
  element('#summary').hidden = true
  for (const head of document.querySelectorAll('th[data-sort]')) {
    if (!(head instanceof HTMLElement)) continue
    const button = make('button', { type: 'button' }, ...head.childNodes)
    head.append(button)
    button.addEventListener('click', () => choose({ sort: nextSort(head) }))
  }
  remember()
  arrange('now')
}

/**
 * Shows what is to be shown, in order.
 * @param {'now' | 'unless in use'} when a row must not move away from under a pointer or the focus
 */
export function arrange(when) {
  const all = groups().map(group => ({ group, keys: keysOf(group) }))
  const { tones } = kinds.find(({ kind }) => kind === chosen.kind) ?? everything
  const words = chosen.text.toLowerCase().split(/\s+/)
  let shown = 0
  for (const { group, keys } of all) {
    const text = told
      .map(cell => group.querySelector(`[data-cell=${cell}]`)?.textContent)
      .join(' ')
      .toLowerCase()
    const isIn = group.contains(document.activeElement)
    const fits = isIn || (tones.includes(String(keys.tone)) && words.every(word => text.includes(word)))
    if (group.hidden === fits) group.hidden = !fits
    if (fits) shown += 1
    group.dataset.tone = String(keys.tone)
  }
  element('#nothing').hidden = shown > 0
  count(all.map(({ keys }) => String(keys.tone)))
  if (when === 'unless in use' && element('table').matches(':hover, :focus-within')) return
  const sorted = sort(all)
  if (sorted.every(({ group }, i) => group === all[i]?.group)) return
  element('table').append(...sorted.map(({ group }) => group))
}

let saying = 0

/** @param {Partial<typeof chosen>} choice */
function choose(choice) {
  Object.assign(chosen, choice)
  const given = Object.entries({
    filter: chosen.text,
    show: chosen.kind === 'all' ? '' : chosen.kind,
    sort: chosen.sort,
  })
  const query = new URLSearchParams(given.filter(([, value]) => value !== ''))
  history.replaceState(null, '', `${location.pathname}${query.size > 0 ? `?${query}` : ''}`)
  arrange('now')
  clearTimeout(saying)
  saying = setTimeout(() => {
    const shown = groups().filter(({ hidden }) => !hidden).length
    say(`${shown} ${shown === 1 ? 'appliance' : 'appliances'} shown`)
  }, 600)
}

/**
 * The other way round at the second time, and as it was at the third.
 * @param {HTMLElement} head
 */
function nextSort({ dataset: { sort = '', most } }) {
  const [first, second] = most === undefined ? [sort, `-${sort}`] : [`-${sort}`, sort]
  if (chosen.sort === first) return second
  return chosen.sort === second ? '' : first
}

/** @param {{ group: HTMLElement, keys: Record<string, string | number | undefined> }[]} all */
function sort(all) {
  const [, sign, by = ''] = /^(-?)(.*)$/.exec(chosen.sort) ?? []
  for (const head of document.querySelectorAll('th[data-sort]')) {
    if (!(head instanceof HTMLElement)) continue
    if (head.dataset.sort !== by) head.removeAttribute('aria-sort')
    else head.setAttribute('aria-sort', sign === '-' ? 'descending' : 'ascending')
  }
  const direction = sign === '-' ? -1 : 1
  const byName = all.toSorted((a, b) => compare(a.keys.appliance, b.keys.appliance))
  const place = (/** @type {typeof all[number]} */ { group }) => places.get(group.dataset.name)
  if (by === '') return all.toSorted((a, b) => compare(place(a), place(b)))
  return byName.toSorted((a, b) => {
    const [x, y] = [a.keys[by], b.keys[by]]
    // What is not known stays behind, whichever way round.
    if (x === undefined || y === undefined) return x === y ? 0 : x === undefined ? 1 : -1
    return direction * compare(x, y)
  })
}

/**
 * @param {string | number | undefined} a
 * @param {string | number | undefined} b
 */
function compare(a = '', b = '') {
  return typeof a === 'number' && typeof b === 'number'
    ? a - b
    : String(a).localeCompare(String(b), 'en', { numeric: true })
}

/** @param {string[]} tones of all appliances */
function count(tones) {
  for (const { kind, tones: wanted } of kinds) {
    const chip = element(`[data-kind=${kind}]`)
    chip.setAttribute('aria-pressed', String(kind === chosen.kind))
    const number = String(tones.filter(tone => wanted.includes(tone)).length)
    const shown = element('b', chip)
    if (shown.textContent !== number) shown.textContent = number
    chip.dataset.none = String(number === '0')
    if (kind === 'attention') document.title = `${number === '0' ? '' : `(${number}) `}veeam-auth-proxy`
  }
}
