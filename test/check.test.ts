import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  createCertificate,
  type SimulatedProduct,
  type SimulatorOptions,
  startSimulator,
} from '../src/simulator/index.ts'
import { entryOf, runCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'

const totp = 'JBSWY3DPEHPK3PXP'
const nothing = { url: 'https://127.0.0.1:1', fingerprint: 'AB:'.repeat(31).concat('AB') }

async function simulated(t: TestContext, options: SimulatorOptions) {
  const simulator = await startSimulator(options)
  t.after(() => simulator.close())
  return simulator
}

/** Checks a configuration of these entries. */
async function check(t: TestContext, entries: readonly string[]) {
  const folder = temporaryFolder(t)
  folder.write('appliances.yaml', `appliances:\n${entries.join('')}`)
  return runCli(['check'], { cwd: folder.path })
}

test('check signs in once and out again at every appliance, and shows what it found', async t => {
  const products: readonly SimulatedProduct[] = ['azure', 'microsoft365', 'google-cloud']
  const simulators = await Promise.all(products.map(product => simulated(t, { product, tokenLife: 1800 })))
  const entries = simulators.map((simulator, index) => entryOf(`box-${index}`, products[index] ?? '', simulator))
  const { exitCode, stdout, stderr } = await check(t, entries)
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' }, stdout)
  assert.deepEqual(
    stdout.split('\n').map(line => line.split(/ {2,}/)),
    [
      ['appliance', 'product', 'reached', 'trusted', 'signed in', 'session lives', 'next grant'],
      ...products.map((product, index) => [`box-${index}`, product, 'yes', 'pinned', 'yes', '30 min', 'refresh_token']),
      [''],
    ],
  )
  for (const { counts } of simulators) {
    const { signIns, tokenRequests, signOuts } = counts
    assert.deepEqual({ signIns, signOuts, grants: tokenRequests - signOuts }, { signIns: 1, signOuts: 1, grants: 1 })
  }
})

test('check tries a wrong password exactly once, and says which credentials to correct', async t => {
  const simulator = await simulated(t, { product: 'microsoft365' })
  const { exitCode, stdout, stderr } = await check(t, [
    entryOf('tenant', 'microsoft365', simulator, { password: 'not-the-password' }),
  ])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^tenant +microsoft365 +yes +pinned +no +- +-$/m)
  assert.match(stdout, /^tenant: wrong user name or password\. .*400.* correct the credentials under tenant in .*yaml/m)
  assert.equal(simulator.counts.refusedSignIns, 1)
  assert.equal(simulator.counts.tokenRequests, 1)
  assert.doesNotMatch(stdout + stderr, /not-the-password/)
})

test('check says that port or product is wrong where the token path answers 404', async t => {
  const simulator = await simulated(t, { product: 'google-cloud' })
  const { exitCode, stdout } = await check(t, [entryOf('azure', 'azure', simulator)])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^azure: wrong port or product: .*no token path of Veeam Backup for Microsoft Azure\. .*404/m)
  assert.match(stdout, /port 443 by default; correct url or product/)
})

test('check prints the fingerprint of an untrusted certificate as YAML, which is then trusted', async t => {
  const simulator = await simulated(t, { product: 'azure' })
  const refused = await check(t, [entryOf('azure', 'azure', simulator, { tls: '' })])
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stdout, /^azure +azure +yes +no +no +- +-$/m)
  assert.match(refused.stdout, /^azure: The certificate is not trusted: it is self-signed\. .*CN=localhost/m)
  assert.equal(simulator.counts.tokenRequests, 0)
  const [, tls = ''] = /^ {4}tls: (\{.*\})$/m.exec(refused.stdout) ?? []
  const trusted = await check(t, [entryOf('azure', 'azure', simulator, { tls })])
  assert.equal(trusted.exitCode, 0, trusted.stdout)
})

test('check tells both fingerprints where another certificate is pinned', async t => {
  const simulator = await simulated(t, { product: 'azure' })
  const entry = entryOf('azure', 'azure', { ...simulator, fingerprint: nothing.fingerprint })
  const { exitCode, stdout } = await check(t, [entry])
  assert.equal(exitCode, 1)
  assert.ok(stdout.includes(`pins ${nothing.fingerprint}`), stdout)
  assert.ok(stdout.includes(`tls: { fingerprint: "${simulator.fingerprint}" }`), stdout)
})

test('check says of an expired certificate, pinned or not, that it cannot be pinned, and prints nothing to paste', async t => {
  const certificate = await createCertificate({ days: 1, notBefore: new Date(Date.now() - 3 * 86_400_000) })
  const simulator = await simulated(t, { product: 'azure', certificate })
  for (const entry of [entryOf('azure', 'azure', simulator), entryOf('azure', 'azure', simulator, { tls: '' })]) {
    const { exitCode, stdout } = await check(t, [entry])
    assert.equal(exitCode, 1)
    assert.match(
      stdout,
      /^azure: .*CN=localhost, valid until .*\) has expired, and cannot be pinned\. Let the appliance/m,
    )
    assert.doesNotMatch(stdout, /tls:/)
  }
  assert.equal(simulator.counts.tokenRequests, 0)
})

test('check says that a code is needed where MFA is on, and which command takes it', async t => {
  const simulator = await simulated(t, { product: 'azure', totpSecret: totp })
  const { exitCode, stdout } = await check(t, [entryOf('azure', 'azure', simulator)])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^azure +azure +yes +pinned +code wanted +- +-$/m)
  assert.match(stdout, /^azure: MFA code needed, .*veeam-auth-proxy code azure; or .*credentials\.totp/m)
  assert.equal(simulator.counts.tokenRequests, 1)
})

test('check signs in through MFA by itself where the secret of the authenticator is configured', async t => {
  const simulator = await simulated(t, { product: 'azure', totpSecret: totp })
  const { exitCode, stdout } = await check(t, [entryOf('azure', 'azure', simulator, { totp })])
  assert.equal(exitCode, 0, stdout)
  assert.equal(simulator.counts.signOuts, 1)
})

test('check says that nothing listens at the address', async t => {
  const { exitCode, stdout } = await check(t, [entryOf('gone', 'azure', nothing)])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^gone +azure +no +- +no +- +-$/m)
  assert.match(
    stdout,
    /^gone: .*cannot be reached \(https:\/\/127\.0\.0\.1:1\)\. The connection was refused\. Check url/m,
  )
})

test('check says so where the appliance is busy, and does not try again', async t => {
  const simulator = await simulated(t, { product: 'azure' })
  simulator.misbehave({ where: 'token', answer: 503 })
  const { exitCode, stdout } = await check(t, [entryOf('azure', 'azure', simulator)])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^azure: The appliance cannot serve a sign-in now .*503/m)
  assert.equal(simulator.counts.tokenRequests, 1)
})

test('check shows the good appliances beside the failed ones', async t => {
  const simulator = await simulated(t, { product: 'azure' })
  const { exitCode, stdout } = await check(t, [entryOf('gone', 'azure', nothing), entryOf('good', 'azure', simulator)])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^good +azure +yes +pinned +yes/m)
  assert.doesNotMatch(stdout, /^good: /m)
})

test('check does not spend an authorization code, which is good for one sign-in only', async t => {
  const simulator = await simulated(t, { product: 'google-cloud' })
  const entry = `  gcp:
    product: google-cloud
    url: ${simulator.url}
    credentials: { authorizationCode: "${simulator.issueAuthorizationCode()}" }
    tls: { fingerprint: "${simulator.fingerprint}" }
`
  const { exitCode, stdout } = await check(t, [entry])
  assert.equal(exitCode, 0, stdout)
  assert.match(stdout, /^gcp +google-cloud +yes +pinned +not tried +- +authorization_code$/m)
  assert.match(stdout, /^gcp: reached\. .*kept for the proxy/m)
  assert.equal(simulator.counts.authorizationCodes, 0)
})

test('check says where an authorization code is for another product than what answers', async t => {
  const simulator = await simulated(t, { product: 'azure' })
  const entry = entryOf('gcp', 'google-cloud', simulator).replace(
    /credentials:\n.*\n.*\n/,
    'credentials: { authorizationCode: "some-code" }\n',
  )
  const { exitCode, stdout } = await check(t, [entry])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^gcp: wrong port or product/m)
})

test('check of an appliance in the environment names the variable to set', async t => {
  const simulator = await simulated(t, { product: 'azure' })
  const env = {
    VEEAM_PRODUCT: 'azure',
    VEEAM_URL: simulator.url,
    VEEAM_USERNAME: 'Administrator',
    VEEAM_PASSWORD: 'whatever-it-is',
  }
  const { exitCode, stdout } = await runCli(['check'], { env })
  assert.equal(exitCode, 1)
  assert.ok(stdout.includes(`\n    VEEAM_TLS_FINGERPRINT=${simulator.fingerprint}\n`), stdout)
})

test('check ends with exit code 2 and the place of the mistake when the configuration is wrong', async t => {
  const { exitCode, stdout, stderr } = await check(t, ['  box:\n    product: azur\n'])
  assert.deepEqual({ exitCode, stdout }, { exitCode: 2, stdout: '' })
  assert.match(stderr, /^appliances\.yaml:3:14: appliances\.box\.product: .*azure/m)
})
