import { type Html, html } from './html.ts'
import type { Row } from './row.ts'
import type { Verb } from './state.ts'

const words: Readonly<Record<Verb, string>> = {
  renew: 'Renew now',
  'sign-in': 'Sign in',
  'sign-out': 'Sign out',
  code: 'Give code',
}

/** Forms that work as they are; the page's script sends them without leaving the page. */
export function actions({ name, shown: { verbs } }: Row): Html {
  return html`<div class="actions">${verbs.map(verb => form(name, verb))}</div>`
}

function form(name: string, verb: Verb): Html {
  const button = html`<button data-verb="${verb}">${words[verb]}<span class="unseen"> ${name}</span></button>`
  return html`<form method="post" action="/-/appliances/${name}/${verb}">${verb === 'code' ? field(name) : ''}${button}</form>`
}

function field(name: string): Html {
  return html`<label><span class="unseen">Code for ${name}</span><input name="code" data-verb="field" placeholder="Code" required maxlength="4096" autocomplete="one-time-code" autocapitalize="off" spellcheck="false"></label>`
}
