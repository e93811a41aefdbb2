import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Site } from '../site.ts'
import type { Contestant } from './contestant.ts'
import { startProduct } from './product.ts'
import { notBuilt } from './veeam-auth-proxy.ts'

/** Where in the built files each of the defaults begins that a request meets; it does nothing once it returns there. */
const beginnings = {
  guard: /\bcheckSender\([^)]*\)\{/g,
  policy: /\bfunction checkAccess\([^)]*\)\{/g,
  'metrics and log': /\bonRequest\(account,request\)\{/g,
}

/** No switch turns off what keeps a caller out; what it costs is the difference to a copy of the product without it. */
export const withoutDefaults: Contestant = {
  name: 'veeam-auth-proxy without defaults',
  kind: 'answering',
  ownPath: '/-/livez',
  available: notBuilt,
  start: site => startProduct({ ...site, main: copyWithout(site) }, { name: 'defaults-off' }),
}

/** @returns the main file of a copy in which none of the defaults does anything */
function copyWithout({ main, folder }: Site): string {
  const copy = join(folder, 'without-defaults')
  cpSync(dirname(main), copy, { recursive: true })
  cpSync(join(dirname(main), '../package.json'), join(folder, 'package.json'))
  const files = readdirSync(copy).filter(name => name.endsWith('.js'))
  const texts = new Map(files.map(name => [name, readFileSync(join(copy, name), 'utf8')]))
  for (const [what, beginning] of Object.entries(beginnings)) {
    let times = 0
    for (const [name, text] of texts) {
      texts.set(
        name,
        text.replace(beginning, found => {
          times += 1
          return `${found}return;`
        }),
      )
    }
    if (times !== 1)
      throw new Error(`${what}: its beginning was found ${times} times in ${dirname(main)}, and not once`)
  }
  for (const [name, text] of texts) writeFileSync(join(copy, name), text)
  return join(copy, 'main.js')
}
