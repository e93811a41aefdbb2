/**
 * What the page is known to have.
 * @param {string} selector
 * @param {ParentNode} root
 * @returns {HTMLElement}
 */
export function element(selector, root = document) {
  const found = root.querySelector(selector)
  if (found instanceof HTMLElement) return found
  throw new Error(`the page has no ${selector}`)
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

/** @returns {HTMLTableSectionElement[]} one for each appliance, in the order shown */
export function groups() {
  return [...document.querySelectorAll('tbody')]
}

/**
 * @param {HTMLElement} group
 * @returns {Record<string, string | number | undefined>}
 */
export function keysOf(group) {
  return JSON.parse(group.dataset.keys ?? '{}')
}

/**
 * Says something to those who cannot see it change.
 * @param {string} words
 */
export function say(words) {
  element('#spoken').textContent = words
}

/**
 * Tells what came of a button, until the next one.
 * @param {string} words
 * @param {'good' | 'bad'} kind
 */
export function notice(words, kind) {
  element('#notice').replaceChildren(make('p', { class: kind }, words))
}
