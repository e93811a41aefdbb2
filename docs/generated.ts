import { wordsOf } from '../src/cli/completion-words.ts'
import { commands } from '../src/cli/index.ts'
import { SettingsVariables } from '../src/config/env.ts'
import { applianceKeys } from '../src/config/single.ts'
import { products } from '../src/dialects/index.ts'
import { failures } from '../src/errors.ts'
import { configurationReference } from './configuration-keys.ts'
import { code, table } from './markdown.ts'

/** What stands between markers in README, by the name of the markers; `npm run docs` puts it there. */
const parts: Readonly<Record<string, () => string | Promise<string>>> = {
  products: productTable,
  configuration: configurationReference,
  environment: environmentTable,
  commands: commandTable,
  trouble: troubleTable,
}

const MARKED = /<!-- (\w+): begin[^>]*-->\n(.*?)<!-- \1: end -->/gs

/**
 * The text with every generated part as it is to be.
 * @throws Error when the markers are not those of the parts
 */
export async function filled(text: string): Promise<string> {
  const names = [...text.matchAll(MARKED)].map(([, name]) => name)
  const wanted = Object.keys(parts)
  if (names.toSorted().join() !== wanted.toSorted().join()) {
    throw new Error(`README has markers for ${names.join(', ') || 'nothing'}, and there are to be ${wanted.join(', ')}`)
  }
  const made = await Promise.all(Object.entries(parts).map(async ([name, make]) => [name, await make()] as const))
  const contents = new Map(made)
  return text.replaceAll(MARKED, (_, name: string) => {
    return `<!-- ${name}: begin (npm run docs) -->\n${contents.get(name)}\n<!-- ${name}: end -->`
  })
}

function productTable(): string {
  const words = { password: 'user name and password', authorizationCode: 'authorization code' }
  const rows = products.map(({ name, title, defaultPort, credentials, mfa }) => {
    const ways = credentials.map(way => (way === 'password' && mfa ? `${words[way]}, also with MFA` : words[way]))
    return [code(name), title, String(defaultPort), ways.join('; ')]
  })
  return table(['product', 'of the vendor', 'its port', 'signs in with'], rows)
}

function environmentTable(): string {
  const settings: Record<string, { description?: string; default?: string }> = JSON.parse(
    JSON.stringify(SettingsVariables.properties),
  )
  const own = Object.entries(settings).map(([name, { description = '', default: standard }]) => [
    code(name),
    standard === undefined ? description : `${description}; without it \`${standard}\``,
  ])
  const single = applianceKeys.map(({ name, path }) => {
    const key = code(path.join('.'))
    return [
      code(name),
      name.endsWith('_FILE') ? `a file with ${key} of the one appliance` : `${key} of the one appliance`,
    ]
  })
  return table(['variable', 'meaning'], [...own, ...single])
}

async function commandTable(): Promise<string> {
  const loaded = await Promise.all(Object.values(commands).map(load => load()))
  const rows = loaded.map(command => {
    const { name, args, summary } = command
    const options = wordsOf(command).options.filter(({ long }) => !['--help', '--quiet'].includes(long))
    return [
      code([name, args].filter(Boolean).join(' ')),
      `${summary}${options.length === 0 ? '' : `; ${options.map(({ long }) => code(long)).join(' ')}`}`,
    ]
  })
  return table(['command', 'what it does; its options'], rows)
}

function troubleTable(): string {
  const rows = Object.entries(failures).map(([name, { status, title, remedy }]) => [
    code(name),
    String(status),
    title,
    remedy,
  ])
  return table(['code', 'status', 'meaning', 'remedy'], rows)
}
