import type { Appliance } from '../../appliance.ts'
import { type Html, html } from './html.ts'

/** How a reader reaches the proxy. */
export interface Standpoint {
  /** Scheme, host and port, as the reader's own browser has them. */
  origin: string
  /** The appliance that is served at `/` instead of under its name, if there is such a one. */
  root: string | undefined
  /** Whether callers must prove who they are. */
  asksCallers: boolean
}

interface Example {
  id: string
  title: string
  text: string
}

/** What to copy to use an appliance, ready to work. */
export function examplesFor({ name, sample }: Appliance, { origin, root, asksCallers }: Standpoint): Example[] {
  const base = root === name ? origin : `${origin}/${name}`
  const { path, list } = sample
  return [
    { id: 'curl', title: 'curl', text: curl(`${base}${path}`, asksCallers) },
    { id: 'infinity', title: 'Grafana Infinity', text: infinity({ name, base, path, list }, asksCallers) },
    { id: 'telegraf', title: 'Telegraf', text: telegraf({ name, url: `${base}${path}`, list }, asksCallers) },
  ]
}

export function examples(all: readonly Appliance[], chosen: Appliance, standpoint: Standpoint): Html {
  const options = all.map(({ name }) =>
    name === chosen.name ? html`<option selected>${name}</option>` : html`<option>${name}</option>`,
  )
  const blocks = examplesFor(chosen, standpoint).map(
    ({ id, title, text }) => html`<article>
<h3 id="example-${id}">${title}</h3>
<pre tabindex="0" role="region" aria-labelledby="example-${id}"><code>${text}</code></pre>
</article>`,
  )
  return html`<section id="examples" aria-labelledby="examples-title">
<header><h2 id="examples-title">Use it</h2>
<form method="get" action="#examples"><label>Appliance <select name="example">${options}</select></label> <button>Show</button></form></header>
<div class="examples">${blocks}</div>
</section>`
}

function curl(url: string, asksCallers: boolean): string {
  return asksCallers ? `curl -H "x-proxy-key: $PROXY_KEY" '${url}'` : `curl '${url}'`
}

function infinity({ name, base, path, list }: Record<'name' | 'base' | 'path' | 'list', string>, asksCallers: boolean) {
  const key = `    jsonData:
      auth_method: bearerToken
      allowedHosts: [${base}]
    secureJsonData:
      bearerToken: $PROXY_KEY
`
  return `# provisioning/datasources/${name}.yaml
apiVersion: 1
datasources:
  - name: ${name}
    type: yesoreyeram-infinity-datasource
    url: ${base}
${asksCallers ? key : ''}# panel: type JSON, URL ${path}, root ${list}`
}

function telegraf({ name, url, list }: Record<'name' | 'url' | 'list', string>, asksCallers: boolean): string {
  const key = `  headers = { "x-proxy-key" = "$\{PROXY_KEY}" }
`
  return `[[inputs.http]]
  urls = ["${url}"]
  name_override = "${name}"
${asksCallers ? key : ''}  data_format = "json"
  json_query = "${list}"
  tag_keys = ["name"]`
}
