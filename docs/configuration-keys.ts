import { BYTES } from '../src/config/bytes.ts'
import { DURATION } from '../src/config/duration.ts'
import { jsonSchema } from '../src/config/schema.ts'
import { SecretReference } from '../src/config/secret-reference.ts'
import { products } from '../src/dialects/index.ts'
import { code, prose, table } from './markdown.ts'

/** The part of JSON Schema that the configuration is described in. */
interface Node {
  type?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  const?: unknown
  pattern?: string
  required?: string[]
  properties?: Record<string, Node | true>
  additionalProperties?: Node | boolean
  items?: Node
  anyOf?: Node[]
  allOf?: { then: Node }[]
}

interface Key {
  name: string
  type: string
  /** As it is written in the file. */
  standard: string
  description: string
}

const HEAD = ['key', 'type', 'default', 'meaning']
/** Of whoever has the key below it: what else is told of them stands with their own keys. */
const ELSEWHERE = ['callers', 'appliances']

const secret = plainly(SecretReference)
const kinds = JSON.stringify(secret.anyOf)
/** How every description of a secret ends; it is told once. */
const [, forms = ''] = /^A secret: (.*)$/.exec(secret.description ?? '') ?? []

/** The reference of the configuration file, as Markdown. */
export function configurationReference(): string {
  const root = plainly(jsonSchema())
  const caller = nodeAt(root, 'callers').items ?? {}
  const appliances = nodeAt(root, 'appliances').additionalProperties
  const appliance = typeof appliances === 'object' ? appliances : {}
  return [
    section('Of the file', table(HEAD, keysIn(root).map(cells))),
    section('Of one of `callers`', table(HEAD, keysIn(caller).map(cells))),
    section('Of one of `appliances`', table(HEAD, keysIn(appliance).map(cells))),
    section('Of an appliance, by its product', table([...HEAD, 'product'], ownKeys(appliance))),
    section('Secrets', `Whatever is of type *secret* is ${forms}.\n\n${table(HEAD, secretKinds())}`),
  ].join('\n\n')
}

function plainly(schema: object): Node {
  return JSON.parse(JSON.stringify(schema))
}

function section(title: string, content: string): string {
  return `### ${title}\n\n${content}`
}

function nodeAt({ properties = {} }: Node, name: string): Node {
  const node = properties[name]
  return typeof node === 'object' ? node : {}
}

function cells({ name, type, standard, description }: Key): string[] {
  return [code(name), type, standard, prose(description)]
}

/** What products add, a line for all that have it alike. */
function ownKeys({ allOf = [] }: Node): string[][] {
  const owners = new Map<string, { key: Key; names: string[] }>()
  for (const [index, { then }] of allOf.entries()) {
    for (const key of keysIn(then)) {
      const same = JSON.stringify(key)
      const known = owners.get(same) ?? { key, names: [] }
      known.names.push(code(products[index]?.name ?? ''))
      owners.set(same, known)
    }
  }
  const rows = [...owners.values()]
  // What one name means stands together.
  const order = [...new Set(rows.map(({ key }) => key.name))]
  return rows
    .toSorted((a, b) => order.indexOf(a.key.name) - order.indexOf(b.key.name))
    .map(({ key, names }) => [...cells(key), names.length === products.length ? 'every' : names.join(', ')])
}

function secretKinds(): string[][] {
  const [text = {}] = secret.anyOf ?? []
  return [['', typeOf(text), '', text.description ?? ''], ...keysBelow(secret, '').map(cells)]
}

/** The keys of a mapping and of what lies in them. */
function keysIn({ properties = {}, required = [] }: Node, prefix = ''): Key[] {
  return Object.entries(properties).flatMap(([last, node]) => {
    // Stands for a key that every product has: it is told of there.
    if (node === true) return []
    const name = prefix === '' ? last : `${prefix}.${last}`
    const key = {
      name,
      type: typeOf(node),
      standard: standardOf(node, required.includes(last)),
      description: meaningOf(node),
    }
    return [key, ...(isSecret(node) || (prefix === '' && ELSEWHERE.includes(last)) ? [] : keysBelow(node, name))]
  })
}

function keysBelow(node: Node, prefix: string): Key[] {
  const own = keysIn(node, prefix)
  const { anyOf = [], items } = node
  const isOneOfMany = anyOf.filter(({ properties }) => properties !== undefined).length > 1
  // Of a mapping that is one of several, no key is required: the others do without.
  const forms = anyOf.flatMap(form => keysBelow(isOneOfMany ? { ...form, required: [] } : form, prefix))
  const inList = items === undefined ? [] : keysBelow(items, `${prefix}[]`)
  const all = [...own, ...forms, ...inList]
  // A list of what can also stand alone has the same keys once more.
  const names = new Set(all.map(({ name }) => name))
  return all.filter(({ name }, index) => {
    const alone = name.replace(`${prefix}[].`, `${prefix}.`)
    return all.findIndex(key => key.name === name) === index && (alone === name || !names.has(alone))
  })
}

function isSecret({ anyOf }: Node): boolean {
  return JSON.stringify(anyOf) === kinds
}

/** What stands in the columns beside it is left out. */
function meaningOf({ description = '', default: standard }: Node): string {
  return description.replace(`: ${forms}`, '').replace(`, such as ${standard}`, '')
}

function standardOf({ default: standard }: Node, isRequired: boolean): string {
  if (standard !== undefined) return code(String(standard))
  return isRequired ? 'required' : ''
}

function typeOf(node: Node): string {
  if (isSecret(node)) return 'secret'
  if (node.const !== undefined) return code(String(node.const))
  if (node.enum !== undefined) return node.enum.map(value => code(String(value))).join(', ')
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(typeOf))].join(', ')
  if (node.pattern === DURATION) return 'time'
  if (node.pattern === BYTES) return 'size'
  if (node.type === 'array') return node.items?.const === undefined ? 'list' : `list of ${typeOf(node.items)}`
  return words[node.type ?? ''] ?? 'mapping'
}

const words: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'number',
  boolean: '`true`, `false`',
  object: 'mapping',
}
