import { make, say } from './dom.js'

/** Shows the examples of an appliance as soon as it is chosen, and puts a button to copy beside each. */
export function startExamples() {
  const select = document.querySelector('#examples select')
  const blocks = document.querySelector('#examples .examples')
  if (!(select instanceof HTMLSelectElement) || blocks === null) return
  select.form?.querySelector('button')?.remove()
  select.form?.addEventListener('submit', event => event.preventDefault())
  select.addEventListener('change', async () => {
    const answer = await fetch(`/-/?${new URLSearchParams({ example: select.value })}`).catch(() => undefined)
    if (!answer?.ok) return
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
    blocks.replaceChildren(...(fresh.querySelector('#examples .examples')?.children ?? []))
    addCopying(blocks)
  })
  addCopying(blocks)
}

/** @param {Element} blocks */
function addCopying(blocks) {
  for (const article of blocks.querySelectorAll('article')) {
    const code = article.querySelector('code')
    const title = article.querySelector('h3')
    if (code === null || title === null) continue
    const button = make(
      'button',
      { type: 'button', class: 'copy' },
      'Copy',
      make('span', { class: 'unseen' }, ` ${title.textContent}`),
    )
    button.addEventListener('click', async () => {
      const copied = await copy(code)
      const words = copied ? 'Copied' : 'Press Ctrl+C'
      button.firstChild?.replaceWith(words)
      say(words)
      setTimeout(() => button.firstChild?.replaceWith('Copy'), 2000)
    })
    title.after(button)
  }
}

/**
 * Selects the text where the browser keeps its clipboard from pages of plain HTTP.
 * @param {HTMLElement} code
 */
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent ?? '')
    return true
  } catch {
    getSelection()?.selectAllChildren(code)
    return false
  }
}
