import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import { parse, stringify } from 'yaml'
import { SESSION_STATES } from '../src/session/session.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { namesIn, scrape } from './exposition.ts'
import { promtool } from './promtool.ts'
import { type Context, startBox } from './rig.ts'

const config = (name: string) => fileURLToPath(new URL(`../config/${name}`, import.meta.url))

const Panel = Type.Object({
  id: Type.Number(),
  title: Type.String(),
  type: Type.String(),
  gridPos: Type.Object({ x: Type.Number(), y: Type.Number(), w: Type.Number(), h: Type.Number() }),
  targets: Type.Optional(Type.Array(Type.Object({ expr: Type.String(), refId: Type.String() }))),
})
const Dashboard = Type.Object({
  uid: Type.String(),
  schemaVersion: Type.Number(),
  templating: Type.Object({
    list: Type.Array(Type.Object({ name: Type.String(), definition: Type.Optional(Type.String()) })),
  }),
  panels: Type.Array(Panel),
})
const Rules = Type.Object({
  groups: Type.Array(Type.Object({ rules: Type.Array(Type.Object({ alert: Type.String(), expr: Type.String() })) })),
})

function dashboard(): Static<typeof Dashboard> {
  const value: unknown = JSON.parse(readFileSync(config('grafana/dashboard.json'), 'utf8'))
  assert.ok(Check(Dashboard, value))
  return value
}

function alerts(): { alert: string; expr: string }[] {
  const value: unknown = parse(readFileSync(config('prometheus/alerts.yml'), 'utf8'))
  assert.ok(Check(Rules, value))
  return value.groups.flatMap(({ rules }) => rules)
}

/** The metrics that an expression names, a histogram by its own name. */
function metricsOf(expression: string): string[] {
  const names = expression.match(/\b(?:veeam_auth_proxy|process|nodejs)_[a-z0-9_]+/g) ?? []
  return names.map(name => name.replace(/_(bucket|sum|count)$/, ''))
}

async function described(t: Context): Promise<Set<string>> {
  const { url } = await startBox(t, { product: 'azure' })
  const { reply } = await scrape(url)
  return new Set(namesIn(reply.text))
}

test('the alert rules pass the checks and the tests that stand beside them', t => {
  const checked = promtool(t, ['check', 'rules', config('prometheus/alerts.yml')])
  if (checked === undefined) return
  assert.equal(checked.exitCode, 0, checked.said)
  const tested = promtool(t, ['test', 'rules', config('prometheus/alerts.test.yml')])
  assert.equal(tested?.exitCode, 0, tested?.said)
})

test('there is a tested alert for a lost session, a failing renewal, a certificate, credentials and a code', () => {
  const names = alerts().map(({ alert }) => alert)
  const wanted = ['SessionLost', 'RenewalFailing', 'CertificateExpiring', 'CredentialsRefused', 'CodeWanted']
  for (const name of wanted) assert.ok(names.includes(`VeeamAuthProxy${name}`), name)
  const tests = readFileSync(config('prometheus/alerts.test.yml'), 'utf8')
  for (const name of names) assert.match(tests, new RegExp(`alertname: ${name}\\n *exp_alerts:\\n`), name)
})

test('every metric and every state in the alert rules and on the dashboard exists', async t => {
  const known = await described(t)
  const states = new Set<string>(SESSION_STATES)
  const { panels, templating } = dashboard()
  const expressions = [
    ...alerts().map(({ expr }) => expr),
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...templating.list.flatMap(({ definition }) => definition ?? []),
  ]
  assert.ok(expressions.length > 30)
  for (const expression of expressions) {
    const metrics = metricsOf(expression)
    assert.notEqual(metrics.length, 0, expression)
    for (const metric of metrics) assert.ok(known.has(metric), `${metric} in ${expression}`)
    for (const [, named = ''] of expression.matchAll(/state[!=]=?~?"([^"]+)"/g)) {
      for (const state of named.split('|')) assert.ok(states.has(state), `${state} in ${expression}`)
    }
  }
})

test('every metric of the proxy has its place on the dashboard', async t => {
  const shown = new Set(
    dashboard().panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsOf(expr))),
  )
  const own = [...(await described(t))].filter(name => name.startsWith('veeam_auth_proxy_'))
  assert.deepEqual(
    own.filter(name => !shown.has(name)),
    // The bar of the expiry shows what it is for.
    ['veeam_auth_proxy_session_renewal_timestamp_seconds'],
  )
})

test('docs/monitoring.md has every metric of the proxy in its table, and none that there is not', async t => {
  const own = [...(await described(t))].filter(name => name.startsWith('veeam_auth_proxy_'))
  const paper = readFileSync(config('../docs/monitoring.md'), 'utf8')
  const [, section = ''] = /^## Metrics\n(.*?)^## /ms.exec(paper) ?? []
  const written = section.match(/(?:veeam_auth_proxy|…)_[a-z_]+/g) ?? []
  const meant = written.flatMap(name => {
    if (!name.startsWith('…')) return own.includes(name) ? name : [`${name}?`]
    return own.find(each => each.endsWith(name.slice(1))) ?? `${name}?`
  })
  assert.deepEqual([...new Set(meant)].toSorted(), own.toSorted())
})

test('Prometheus understands every expression of the dashboard', t => {
  const rules = dashboard().panels.flatMap(({ targets = [] }, panel) =>
    targets.map(({ expr, refId }) => ({
      record: `panel_${panel}_${refId}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(instance|appliance)/g, '.*'),
    })),
  )
  const folder = temporaryFolder(t)
  const file = folder.write('rules.yml', stringify({ groups: [{ name: 'dashboard', rules }] }))
  const checked = promtool(t, ['check', 'rules', file])
  if (checked !== undefined) assert.equal(checked.exitCode, 0, checked.said)
  assert.doesNotMatch(stringify(rules), /\$/)
})

test('the panels of the dashboard have ids of their own and do not overlap', () => {
  const { panels } = dashboard()
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = new Map<string, string>()
  for (const { title, gridPos } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        assert.equal(cells.get(`${x} ${y}`), undefined, `${title} lies over another`)
        cells.set(`${x} ${y}`, title)
      }
    }
  }
})
