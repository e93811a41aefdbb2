import assert from 'node:assert/strict'
import { test } from 'node:test'
import Type, { type Static } from 'typebox'
import { Parse } from 'typebox/value'
import { parse } from 'yaml'
import { answerOf, assertRead, recipe } from './recipe-rig.ts'

const Named = Type.Array(Type.Object({ name: Type.String(), value: Type.String() }))
const Item = Type.Object({
  uuid: Type.String(),
  key: Type.String(),
  type: Type.Union([Type.Literal('HTTP_AGENT'), Type.Literal('DEPENDENT'), Type.Literal('SCRIPT')]),
  url: Type.Optional(Type.String()),
  query_fields: Type.Optional(Named),
  params: Type.Optional(Type.String()),
  parameters: Type.Optional(Named),
  master_item: Type.Optional(Type.Object({ key: Type.String() })),
  preprocessing: Type.Optional(
    Type.Array(Type.Object({ type: Type.Literal('JSONPATH'), parameters: Type.Array(Type.String()) })),
  ),
})
const Discovery = Type.Intersect([
  Item,
  Type.Object({
    item_prototypes: Type.Array(Item),
    lld_macro_paths: Type.Array(Type.Object({ lld_macro: Type.String(), path: Type.String() })),
  }),
])
const Template = Type.Object({
  template: Type.String(),
  items: Type.Array(Item),
  discovery_rules: Type.Array(Discovery),
  macros: Type.Array(Type.Object({ macro: Type.String(), value: Type.String() })),
})
const Export = Type.Object({
  zabbix_export: Type.Object({
    version: Type.Literal('6.0'),
    groups: Type.Array(Type.Object({ uuid: Type.String(), name: Type.String() })),
    templates: Type.Array(Template),
  }),
})

async function read() {
  const text = await recipe('zabbix-template.yaml')
  const { templates } = Parse(Export, parse(text)).zabbix_export
  const [template = assert.fail()] = templates
  const macros = new Map(template.macros.map(({ macro, value }) => [macro, value]))
  const filled = (value = '') => value.replaceAll(/\{\$[A-Z.]+\}/g, name => macros.get(name) ?? assert.fail(name))
  const urlOf = ({ url, query_fields = [] }: Static<typeof Item>) =>
    `${filled(url)}?${query_fields.map(({ name, value }) => `${name}=${value}`).join('&')}`
  return { ...template, text, filled, urlOf }
}

/** The list and the members that a path names. */
function namesIn(path: string): { list: string; members: string[] } {
  const [, list = '', rest = ''] = /^\$\.(\w+)(.*)$/.exec(path) ?? []
  const members = [...rest.matchAll(/(?:@|\])\.(\w+)(?!\w|\()/g)].map(([, name = '']) => name)
  return { list, members }
}

test("Zabbix' template asks for lists that are there, and its items read members that they have", async () => {
  const { items, discovery_rules, urlOf } = await read()
  const masters = new Map(items.filter(({ type }) => type === 'HTTP_AGENT').map(item => [item.key, urlOf(item)]))
  assert.equal(masters.size, 2)
  const prototypes = discovery_rules.flatMap(({ item_prototypes }) => item_prototypes)
  const dependent = [...items, ...prototypes].filter(({ type }) => type === 'DEPENDENT')
  assert.equal(dependent.length, 3)
  for (const { key, master_item, preprocessing = [] } of dependent) {
    const [path = ''] = preprocessing.flatMap(({ parameters }) => parameters)
    const { list, members } = namesIn(path)
    await assertRead(masters.get(master_item?.key ?? '') ?? assert.fail(key), list, members)
  }
  for (const { master_item, preprocessing = [], lld_macro_paths } of discovery_rules) {
    const [path = ''] = preprocessing.flatMap(({ parameters }) => parameters)
    const members = lld_macro_paths.map(({ path }) => path.replace('$.', ''))
    await assertRead(masters.get(master_item?.key ?? '') ?? '', namesIn(path).list, members)
  }
})

test("the script item of Zabbix' template is the script beside it, with parameters for a list that is there", async () => {
  const { items, filled } = await read()
  const [{ params, parameters = [] } = assert.fail()] = items.filter(({ type }) => type === 'SCRIPT')
  assert.equal(params, await recipe('zabbix-script.js'))
  const given = new Map(parameters.map(({ name, value }) => [name, filled(value)]))
  await assertRead(given.get('url') ?? '', 'results', [given.get('field') ?? ''])
  const { _links } = await answerOf(given.get('url') ?? '')
  assert.ok(Object.hasOwn(Object(_links), 'next'), 'it has pages to follow')
})

test("what Zabbix' template makes has ids and keys of its own", async () => {
  const { text, items, discovery_rules } = await read()
  const ids = [...text.matchAll(/uuid: (\S+)/g)].map(([, id = '']) => id)
  assert.equal(new Set(ids).size, ids.length)
  // Zabbix refuses any other than a random UUID (RFC 9562, section 5.4) without hyphens.
  for (const id of ids) assert.match(id, /^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
  const keys = [...items, ...discovery_rules].map(({ key }) => key)
  assert.equal(new Set(keys).size, keys.length)
})
