import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Deployment } from 'kubernetes-types/apps/v1.js'
import type { ConfigMap, Secret, Service } from 'kubernetes-types/core/v1.js'
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.js'
import { parseAllDocuments } from 'yaml'
import { version } from '../src/cli/version.ts'
import { defaultPassword } from '../src/simulator/index.ts'
import { runCli, startCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { freePort } from './listener-rig.ts'
import { eventually, sharedCertificate, simulate } from './rig.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))

// The first test checks that the documents are what these types say.
type Document = Known<Secret> | Known<ConfigMap> | Known<Deployment> | Known<Service> | Known<NetworkPolicy>
type Known<T extends { kind?: string }> = T & { kind: NonNullable<T['kind']> }

/** One file of ours, and what the tests look at in it. */
function manifest(name: string) {
  const text = readFileSync(join(repository, 'config/kubernetes', `${name}.yaml`), 'utf8')
  // Kubernetes reads the YAML of before 2009, in which 0440 is octal.
  const documents = parseAllDocuments(text, { version: '1.1' }).map((document): Document => {
    assert.deepEqual(document.errors, [])
    return document.toJS()
  })
  const { pod, proxy, others } = podIn(documents)
  return { name, text, documents, pod, proxy, containers: [proxy, ...others] }
}

function podIn(documents: readonly Document[]) {
  const deployment = documents.find(document => document.kind === 'Deployment')
  const pod = deployment?.spec?.template.spec
  const containers = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])]
  const [proxy, ...others] = containers
  assert.ok(deployment && pod && proxy && proxy.name === 'veeam-auth-proxy')
  return { deployment, pod, proxy, others }
}

const manifests = [manifest('sidecar'), manifest('deployment')]

const types: Readonly<Record<string, string>> = {
  'v1 Secret': 'kubernetes-types/core/v1',
  'v1 ConfigMap': 'kubernetes-types/core/v1',
  'v1 Service': 'kubernetes-types/core/v1',
  'apps/v1 Deployment': 'kubernetes-types/apps/v1',
  'networking.k8s.io/v1 NetworkPolicy': 'kubernetes-types/networking/v1',
}

/** What the API of Kubernetes has against documents; its definitions, as types, are a compiler's affair. */
function complaints(t: TestContext, documents: readonly Document[]): string {
  const folder = temporaryFolder(t)
  symlinkSync(join(repository, 'node_modules'), join(folder.path, 'node_modules'))
  const lines = documents.map((document, index) => {
    const module = types[`${document.apiVersion} ${document.kind}`]
    assert.ok(module, `${document.apiVersion} ${document.kind} is unknown here`)
    return `import type { ${document.kind} as Kind${index} } from '${module}'
export const document${index}: Kind${index} = ${JSON.stringify(document)}`
  })
  const file = folder.write('documents.ts', lines.join('\n'))
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--types',
    '',
  ]
  const compiler = join(repository, 'node_modules/.bin/tsc')
  const { stdout } = spawnSync(compiler, [...options, file], { encoding: 'utf8', cwd: folder.path })
  return stdout
}

test('the manifests fit the definitions of the Kubernetes API, to which a misspelt member would not', t => {
  const documents = manifests.flatMap(({ documents: own }) => own)
  assert.equal(complaints(t, documents), '')
  const spoilt = (change: object) => {
    const copy = structuredClone(documents)
    Object.assign(podIn(copy).proxy, change)
    return complaints(t, copy)
  }
  assert.match(spoilt({ livenesProbe: {} }), /livenesProbe.* does not exist/)
  assert.match(spoilt({ resources: { limits: '64Mi' } }), /Type 'string' is not assignable/)
})

for (const { name, text, documents, pod, proxy, containers } of manifests) {
  test(`${name}: every container keeps to the restricted Pod Security Standard, and its image to be read only`, () => {
    assert.deepEqual([pod.hostNetwork, pod.hostPID, pod.hostIPC], [undefined, undefined, undefined])
    const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext ?? {}
    assert.deepEqual([runAsNonRoot, seccompProfile], [true, { type: 'RuntimeDefault' }])
    assert.ok(runAsUser !== undefined && runAsUser > 0)
    for (const { securityContext, ports, resources } of containers) {
      assert.deepEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      for (const { hostPort } of ports ?? []) assert.equal(hostPort, undefined)
      assert.ok(resources?.requests?.memory && resources.limits?.memory, 'its memory has a bound')
    }
    for (const { name: _, ...source } of pod.volumes ?? []) {
      assert.match(Object.keys(source).join(), /^(configMap|secret)$/)
    }
  })

  test(`${name}: what it refers to is in the file, or a comment says how it is made`, () => {
    const made = documents.map(({ kind, metadata }) => `${kind} ${metadata?.name}`)
    const volumes = pod.volumes ?? []
    assert.ok(volumes.length > 0)
    for (const { configMap, secret } of volumes) {
      const wanted = configMap ? `ConfigMap ${configMap.name}` : `Secret ${secret?.secretName}`
      const isTold = text.includes(`kubectl create secret tls ${secret?.secretName} `)
      assert.ok(made.includes(wanted) || isTold, wanted)
      if (secret) assert.equal(secret.defaultMode, 0o440)
    }
    for (const mount of containers.flatMap(({ volumeMounts }) => volumeMounts ?? [])) {
      assert.ok(mount.readOnly && volumes.some(volume => volume.name === mount.name), mount.name)
    }
    assert.equal(proxy.image, `veeam-auth-proxy:${version()}`)
    const { deployment } = podIn(documents)
    const policy = documents.find(document => document.kind === 'NetworkPolicy')
    assert.deepEqual(policy?.spec?.podSelector.matchLabels, deployment.spec?.template.metadata?.labels)
    assert.deepEqual(policy?.spec?.policyTypes, ['Ingress', 'Egress'])
  })

  test(`${name}: with its secrets left empty the proxy does not start, and says which`, async t => {
    const { folder, port } = await unpack(t, documents, { password: '' })
    const { exitCode, stderr } = await runCli(['serve'], { cwd: folder, env: { PORT: port } })
    assert.equal(exitCode, 2)
    assert.match(stderr, /tenant-password is empty\. Write the secret into it/)
  })
}

test('sidecar: the proxy is a native sidecar, whose probes are answered on the loopback of the pod', async t => {
  const { pod, proxy, documents } = manifest('sidecar')
  assert.deepEqual([proxy.restartPolicy, pod.initContainers], ['Always', [proxy]])
  const { folder, port } = await serveManifest(t, documents)
  for (const probe of [proxy.startupProbe, proxy.readinessProbe, proxy.livenessProbe]) {
    const [node, main, ...argv] = probe?.exec?.command ?? []
    assert.deepEqual([node, main], ['node', '/app/dist/main.js'])
    const { exitCode, stderr } = await runCli(argv, { cwd: folder, env: { PORT: port } })
    assert.deepEqual([exitCode, stderr], [0, ''], argv.join(' '))
  }
  const [, url = ''] = /(http:\/\/localhost:8080\/\S+);/.exec(pod.containers[0]?.command?.join(' ') ?? '') ?? []
  assert.equal((await fetch(url.replace('8080', port))).status, 200, 'what the program beside it calls')
})

test('deployment: its probes need no caller, but the host name they send', async t => {
  const { proxy, documents } = manifest('deployment')
  const { port } = await serveManifest(t, documents)
  assert.deepEqual(proxy.ports, [{ name: 'https', containerPort: 8443 }])
  for (const probe of [proxy.startupProbe, proxy.livenessProbe, proxy.readinessProbe]) {
    const { scheme, port: named, path = '', httpHeaders = [] } = probe?.httpGet ?? {}
    assert.deepEqual([scheme, named], ['HTTPS', 'https'])
    const fields = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]))
    assert.equal(await asKubelet(port, path, fields), 200, path)
    assert.equal(await asKubelet(port, path, { Host: '10.1.2.3:8443' }), 421)
  }
  const fields = { Host: 'veeam-auth-proxy:8443' }
  assert.equal(await asKubelet(port, '/tenant/v8/Jobs', fields), 401, 'nobody is let in without a secret')
  assert.equal(await asKubelet(port, '/tenant/v8/Jobs', { ...fields, 'x-proxy-key': 'caller-0123456789' }), 200)
})

/** The files of a manifest in a folder, with a simulator in the place of the appliance and a free port of the loopback. */
async function unpack(t: TestContext, documents: readonly Document[], { password = defaultPassword } = {}) {
  const simulator = await simulate(t, { product: 'microsoft365' })
  const { path, write } = temporaryFolder(t)
  const certificate = await sharedCertificate()
  for (const name of ['veeam', 'tls']) mkdirSync(join(path, name))
  write('veeam/tenant-password', password)
  write('veeam/caller-grafana', 'caller-0123456789')
  write('tls/tls.crt', certificate.cert)
  write('tls/tls.key', certificate.key)
  const port = String(await freePort())
  const configuration = documents.find(document => document.kind === 'ConfigMap')?.data?.['appliances.yaml'] ?? ''
  const here = configuration
    .replaceAll('/run/secrets', path)
    .replace('0.0.0.0:8443', `127.0.0.1:${port}`)
    .replace('https://192.0.2.10:4443', simulator.url)
    .replace(/(00:){31}00/, simulator.fingerprint)
  write('appliances.yaml', here)
  return { folder: path, port }
}

async function serveManifest(t: TestContext, documents: readonly Document[]) {
  const { folder, port } = await unpack(t, documents)
  const served = startCli(t, ['serve'], { cwd: folder, env: { PORT: port } })
  await eventually('it has signed in', () => served.text().includes('"signed in"'))
  return { folder, port }
}

/** The kubelet does not look at the certificate. */
function asKubelet(port: string, path: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers, rejectUnauthorized: false }, response => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.on('error', reject)
    asked.end()
  })
}
