import { element, make, notice } from './dom.js'

/** Said when a button has done its work. */
const done = /** @type {Record<string, string>} */ ({
  code: 'the code was accepted.',
  renew: 'the session was renewed.',
  'sign-in': 'signed in.',
  'sign-out': 'signed out, until somebody signs in.',
})

/** Sends the forms of the table without leaving the page. */
export function startPressing() {
  element('table').addEventListener('submit', event => {
    const form = event.target
    const group = form instanceof HTMLElement ? form.closest('tbody') : null
    if (!(form instanceof HTMLFormElement) || !group) return
    event.preventDefault()
    const name = group.dataset.name ?? ''
    const verb = form.action.slice(form.action.lastIndexOf('/') + 1)
    const button = form.querySelector('button')
    if (button?.getAttribute('aria-busy') === 'true') return
    if (verb === 'sign-out') ask(name, () => void press({ form, name, verb }))
    else void press({ form, name, verb })
  })
}

/** @param {{ form: HTMLFormElement, name: string, verb: string }} press */
async function press({ form, name, verb }) {
  const code = new FormData(form).get('code')
  const body = code === null ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code }) }
  const button = form.querySelector('button')
  button?.setAttribute('aria-busy', 'true')
  try {
    const answer = await fetch(form.action, { method: 'POST', ...body })
    const said = await answer.json()
    if (answer.ok) notice(`${name}: ${done[verb]}`, 'good')
    else notice(`${name}: ${said.title}. ${said.detail} ${String(said.remedy).replace('NAME', name)}.`, 'bad')
    form.reset()
  } catch {
    notice(`${name}: the proxy did not answer.`, 'bad')
  }
  button?.removeAttribute('aria-busy')
}

/**
 * Signing out stops whatever uses the appliance, so it takes two presses.
 * @param {string} name
 * @param {() => void} then
 */
function ask(name, then) {
  const yes = make('button', { value: 'yes', class: 'strong' }, 'Sign out')
  const form = make(
    'form',
    { method: 'dialog' },
    make('h2', { id: 'ask-title' }, `Sign out of ${name}?`),
    make('p', {}, 'Requests to it fail from then on, until somebody signs in again.'),
    make('div', { class: 'actions' }, make('button', { value: '', autofocus: '' }, 'Cancel'), yes),
  )
  const dialog = make('dialog', { 'aria-labelledby': 'ask-title' }, form)
  dialog.addEventListener('close', () => {
    if (dialog.returnValue === 'yes') then()
    dialog.remove()
  })
  document.body.append(dialog)
  dialog.showModal()
}
