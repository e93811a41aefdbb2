import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse as parseToml } from 'smol-toml'
import Type from 'typebox'
import { Parse } from 'typebox/value'
import { parse as parseYaml } from 'yaml'
import { temporaryFolder } from './configuration-folder.ts'
import { promtool } from './promtool.ts'
import { answerOf, assertRead, recipe, recipes } from './recipe-rig.ts'

// Tools that neither Debian nor npm bring: their recipes are read as those tools would read them.

const Words = Type.Array(Type.String())

test("Telegraf's recipe reads lists and members that are there", async () => {
  const Input = Type.Object({
    urls: Words,
    data_format: Type.Literal('json_v2'),
    json_v2: Type.Array(
      Type.Object({
        measurement_name: Type.String(),
        object: Type.Array(Type.Object({ path: Type.String(), tags: Words, included_keys: Words })),
      }),
    ),
  })
  const Telegraf = Type.Object({
    inputs: Type.Object({ http: Type.Array(Input) }),
    outputs: Type.Object({ file: Type.Array(Type.Object({ files: Words })) }),
  })
  const { inputs } = Parse(Telegraf, parseToml(await recipe('telegraf.conf')))
  assert.equal(inputs.http.length, 4)
  for (const { urls, json_v2 } of inputs.http) {
    for (const { path, tags, included_keys } of json_v2.flatMap(({ object }) => object)) {
      for (const url of urls) await assertRead(url, path, [...tags, ...included_keys])
    }
  }
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, shown = ''] = /^```toml\b[^\n]*\n(.*?)^```$/ms.exec(readme) ?? []
  assert.ok(
    shown !== '' && readFileSync(`${recipes}telegraf.conf`, 'utf8').includes(shown),
    'README shows a part of it',
  )
})

test("the panels of Grafana's recipe use its data source and read members that are there", async () => {
  const Sources = Type.Object({
    apiVersion: Type.Literal(1),
    datasources: Type.Array(
      Type.Object({
        uid: Type.String(),
        type: Type.Literal('yesoreyeram-infinity-datasource'),
        jsonData: Type.Object({ auth_method: Type.Literal('none'), allowedHosts: Words }),
      }),
    ),
  })
  const Used = Type.Object({ uid: Type.String(), type: Type.String() })
  const Target = Type.Object({
    datasource: Used,
    type: Type.Literal('json'),
    source: Type.Literal('url'),
    url: Type.String(),
    root_selector: Type.String(),
    columns: Type.Array(Type.Object({ selector: Type.String(), text: Type.String(), type: Type.String() })),
  })
  const Dashboard = Type.Object({
    panels: Type.Array(Type.Object({ id: Type.Number(), datasource: Used, targets: Type.Array(Target) })),
  })
  const [source] = Parse(Sources, parseYaml(await recipe('grafana-infinity.yaml'))).datasources
  assert.ok(source !== undefined)
  const { panels } = Parse(Dashboard, JSON.parse(await recipe('grafana-infinity-dashboard.json')))
  assert.equal(new Set(panels.map(({ id }) => id)).size, 4)
  for (const panel of panels) {
    for (const { datasource, url, root_selector, columns } of panel.targets) {
      for (const { uid, type } of [datasource, panel.datasource])
        assert.deepEqual([uid, type], [source.uid, source.type])
      assert.ok(source.jsonData.allowedHosts.some(host => url.startsWith(`${host}/`)))
      await assertRead(
        url,
        root_selector,
        columns.map(({ selector }) => selector),
      )
    }
  }
})

test("PowerShell's recipe reads members that are there", async () => {
  const text = await recipe('powershell.ps1')
  const [, url = ''] = /^\$next = '(.*)'$/m.exec(text) ?? []
  const [, list = ''] = /^ {4}\$page\.(\w+)$/m.exec(text) ?? []
  const [, member = ''] = /Group-Object -Property (\w+)/.exec(text) ?? []
  await assertRead(url, list, [member])
  assert.match(text, /\$page\._links\.next\.href/)
  const { _links } = Parse(
    Type.Object({ _links: Type.Object({ next: Type.Object({ href: Type.String() }) }) }),
    await answerOf(url),
  )
  await answerOf(new URL(_links.next.href, url).href)
})

test("the requests of Postman's recipe know their variables, and are answered, a sign-in with nonsense too", async () => {
  const Pair = Type.Object({ key: Type.String(), value: Type.String() })
  const Environment = Type.Object({
    name: Type.String(),
    values: Type.Array(Type.Intersect([Pair, Type.Object({ enabled: Type.Literal(true) })])),
    _postman_variable_scope: Type.Literal('environment'),
  })
  const Body = Type.Object({ mode: Type.Literal('urlencoded'), urlencoded: Type.Array(Pair) })
  const Collection = Type.Object({
    auth: Type.Object({ type: Type.Literal('noauth') }),
    item: Type.Array(
      Type.Object({
        name: Type.String(),
        request: Type.Object({ method: Type.String(), url: Type.String(), body: Type.Optional(Body) }),
      }),
    ),
  })
  const { values } = Parse(Environment, JSON.parse(await recipe('postman-environment.json')))
  const known = new Map(values.map(({ key, value }) => [key, value]))
  const filled = (text: string) => text.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => known.get(name) ?? assert.fail(name))
  const { item } = Parse(Collection, JSON.parse(await recipe('postman-collection.json')))
  for (const { name, request } of item) {
    const form = new URLSearchParams()
    for (const { key, value } of request.body?.urlencoded ?? []) form.append(key, filled(value))
    const body = form.size === 0 ? {} : { body: form }
    const members = await answerOf(filled(request.url), { method: request.method, ...body })
    assert.ok(
      ['results', 'data', 'access_token'].some(member => members[member] !== undefined),
      name,
    )
  }
})

test("json_exporter's recipe reads members that are there, and Prometheus takes the scrapes beside it", async t => {
  const Metric = Type.Object({
    type: Type.Literal('object'),
    name: Type.String({ pattern: '^[a-z_]+$' }),
    path: Type.String(),
    labels: Type.Record(Type.String(), Type.String()),
    values: Type.Record(Type.String(), Type.String()),
  })
  const Exporter = Type.Object({
    modules: Type.Record(Type.String(), Type.Object({ metrics: Type.Array(Metric) })),
  })
  const Scrapes = Type.Object({
    scrape_configs: Type.Array(
      Type.Object({
        params: Type.Object({ module: Words }),
        static_configs: Type.Array(Type.Object({ targets: Words })),
      }),
    ),
  })
  const { modules } = Parse(Exporter, parseYaml(await recipe('json-exporter.yml')))
  const text = await recipe('json-exporter-scrape.yml')
  const scrapes = Parse(Scrapes, parseYaml(text)).scrape_configs
  assert.deepEqual(scrapes.flatMap(({ params }) => params.module).sort(), Object.keys(modules).sort())
  const nameIn = (path: string) => /^\{ \.(\w+) \}$/.exec(path)?.[1] ?? assert.fail(path)
  for (const { params, static_configs } of scrapes) {
    for (const { path, labels, values } of params.module.flatMap(name => modules[name]?.metrics ?? assert.fail(name))) {
      const [, list = ''] = /^\{ \.(\w+)\[\*\] \}$/.exec(path) ?? []
      const names = [...Object.values(labels), ...Object.values(values)].map(nameIn)
      for (const url of static_configs.flatMap(({ targets }) => targets)) await assertRead(url, list, names)
    }
  }
  const checked = promtool(t, ['check', 'config', temporaryFolder(t).write('prometheus.yml', text)])
  if (checked !== undefined) assert.equal(checked.exitCode, 0, checked.said)
})
