import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { withPin } from '../src/cli/trust-pin.ts'
import { readConfiguration } from '../src/config/configuration.ts'
import { makeAuthority, makeKeyPair, makeLeaf } from '../src/listen/x509.ts'
import { createCertificate } from '../src/simulator/index.ts'
import { inspectChain } from '../src/upstream/trust.ts'
import { entryOf, runCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { freePort, listen, listenSecurely } from './listener-rig.ts'
import { sharedCertificate } from './rig.ts'

const AB = Array.from({ length: 32 }, () => 'AB').join(':')
const CD = AB.replaceAll('AB', 'CD')
const setting = `tls: { fingerprint: "${AB}" }`

/** An appliance whose certificate nobody trusts, and a configuration that names it. */
async function setUp(t: TestContext, { tls = '' } = {}) {
  const { listener } = await listenSecurely(t)
  const { fingerprint } = await sharedCertificate()
  const folder = temporaryFolder(t)
  const entry = entryOf('tenant', 'microsoft365', { url: listener.url, fingerprint }, { tls })
  const other = entryOf('azure', 'azure', { url: 'https://192.0.2.1:11005', fingerprint }, { tls: '' })
  const text = `# The team's appliances\nlisten: 127.0.0.1:8080   # as in the firewall\n\nappliances:\n${entry}\n${other}`
  const file = folder.write('appliances.yaml', text, 0o640)
  return {
    url: listener.url,
    fingerprint,
    folder,
    file,
    text,
    cwd: folder.path,
    read: () => readFileSync(file, 'utf8'),
  }
}

describe('trust', { concurrency: 6 }, () => {
  test('prints subject, issuer, names, dates and fingerprint, why Node.js does not trust it, and what to paste', async t => {
    const { url, fingerprint, cwd } = await setUp(t)
    const { exitCode, stdout, stderr } = await runCli(['trust', url], { cwd })
    assert.deepEqual([exitCode, stderr], [0, ''])
    assert.match(stdout, /^1\. subject {2}CN=localhost$/m)
    assert.match(stdout, /^ {3}issuer {3}CN=localhost$/m)
    assert.match(stdout, /^ {3}names {4}DNS:localhost, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1$/m)
    assert.match(stdout, /^ {3}valid {4}\w+ +\d+ [\d:]+ \d{4} GMT to \w+ +\d+ [\d:]+ \d{4} GMT$/m)
    assert.ok(stdout.includes(`   SHA-256  ${fingerprint}\n`), stdout)
    assert.match(stdout, /^Node\.js does not trust it: it is self-signed\.$/m)
    assert.ok(stdout.includes(`\n    tls: { fingerprint: "${fingerprint}" }\n`), stdout)
    assert.ok(stdout.includes(`veeam-auth-proxy trust ${url} --write`), stdout)
  })

  test('prints the whole chain, the certificate of the appliance first', async t => {
    const now = Date.now()
    const validity = { from: now, to: now + 86_400_000 }
    const [authority, keys] = await Promise.all([makeAuthority(validity), makeKeyPair()])
    const leaf = makeLeaf(authority, { names: ['localhost'], keys, validity })
    const { url } = await listen(t, { tls: { cert: leaf.cert + authority.cert, key: leaf.key } })
    const { certificates, fault } = await inspectChain(url.replace('127.0.0.1', 'localhost'), 10_000)
    assert.match(certificates[0]?.subject ?? '', /^CN=localhost$/)
    assert.equal(certificates[0]?.issuer, certificates[1]?.subject)
    assert.equal(certificates.length, 2)
    assert.match(fault ?? '', /authority that is not trusted here/)
    const { stdout } = await runCli(['trust', url.replace('https://', '')])
    assert.match(stdout, /^2\. subject {2}CN=veeam-auth-proxy local CA [0-9a-f]{8}$/m)
  })

  test('a certificate cannot steer the terminal that it is printed on', async t => {
    const certificate = await createCertificate({ commonName: 'a\u001b[31mred' })
    const { url } = await listen(t, { tls: certificate })
    const { stdout } = await runCli(['trust', url])
    assert.ok(!stdout.includes('\u001b'))
    assert.match(stdout, /CN=a.{1,4}\[31mred/)
    assert.match(stdout, /subject/)
  })

  test('says what is wrong where no certificate is shown', async t => {
    const plain = createServer().listen(0, '127.0.0.1')
    t.after(() => plain.close())
    await once(plain, 'listening')
    const bound = plain.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    const [refused, notTls, wrong, http] = await Promise.all([
      runCli(['trust', `https://127.0.0.1:${await freePort()}`]),
      runCli(['trust', `https://127.0.0.1:${port}`]),
      runCli(['trust', 'https://']),
      runCli(['trust', 'http://localhost:80']),
    ])
    assert.equal(refused.exitCode, 1)
    assert.match(refused.stderr, /shows no certificate \(ECONNREFUSED\)\. Check host and port/)
    assert.equal(notTls.exitCode, 1)
    assert.match(notTls.stderr, /What answers there does not speak TLS\./)
    for (const { exitCode, stderr } of [wrong, http]) {
      assert.equal(exitCode, 2)
      assert.match(stderr, /is not the address of an appliance\. Write it as https:\/\/HOST:PORT/)
    }
  })

  test('--write puts the pin into the entry of that appliance after a yes, and leaves all other bytes alone', async t => {
    const { url, fingerprint, file, text, cwd, read } = await setUp(t)
    const ran = await runCli(['trust', url, '--write'], { cwd, input: 'y\n', isTerminal: true })
    assert.equal(ran.exitCode, 0, ran.stderr)
    assert.match(
      ran.stderr,
      /Is this the fingerprint that the appliance itself shows\? Write it into tenant of appliances\.yaml/,
    )
    assert.match(ran.stdout, /tenant in appliances\.yaml is pinned to this certificate now\./)
    const line = `    url: ${url}\n`
    assert.equal(read(), text.replace(line, `${line}    tls: { fingerprint: "${fingerprint}" }\n`))
    assert.equal(statSync(file).mode & 0o777, 0o640)
    assert.deepEqual(readdirSync(cwd), ['appliances.yaml'])
    const { appliances } = await readConfiguration(file, {})
    assert.deepEqual(appliances[0]?.tls, { fingerprint, verify: true })
  })

  test('anything but a yes writes nothing', async t => {
    const { url, text, cwd, read } = await setUp(t)
    for (const input of ['n\n', '\n', 'yesterday\n', '']) {
      const { exitCode, stderr } = await runCli(['trust', url, '--write'], { cwd, input, isTerminal: true })
      assert.equal(exitCode, 1)
      assert.match(stderr, /Nothing was written\./)
      assert.equal(read(), text)
    }
  })

  test('--write without a terminal is refused before anything is asked of the appliance, unless --yes says otherwise', async t => {
    const { url, fingerprint, text, cwd, read } = await setUp(t)
    const refused = await runCli(['trust', url, '--write'], { cwd, input: 'y\n' })
    assert.equal(refused.exitCode, 2)
    assert.match(refused.stderr, /Nobody can be asked: the input is no terminal\..* add --yes/)
    assert.deepEqual([refused.stdout, read()], ['', text])
    const written = await runCli(['trust', url, '--write', '--yes'], { cwd })
    assert.equal(written.exitCode, 0, written.stderr)
    assert.ok(read().includes(fingerprint))
  })

  test('--write replaces other rules of trust, says which, and does nothing where the pin is there already', async t => {
    const { url, fingerprint, cwd, read } = await setUp(t, { tls: '{ verify: false } # until it is known' })
    const answers = { cwd, input: 'yes\n', isTerminal: true }
    const { stderr } = await runCli(['trust', url, '--write', '--config', 'appliances.yaml'], answers)
    assert.match(stderr, /in place of tls: \{ verify \}/)
    assert.ok(read().includes(`\n    tls: { fingerprint: "${fingerprint}" } # until it is known\n`), read())
    const again = await runCli(['trust', url, '--write', '--yes'], { cwd })
    assert.equal(again.exitCode, 0)
    assert.match(again.stdout, /tenant in appliances\.yaml pins this certificate already\./)
  })

  test('--write goes to the appliance that is named, and only if it is at that address', async t => {
    const { url, fingerprint, text, cwd, read } = await setUp(t)
    const wrong = await runCli(['trust', url, 'azure', '--write', '--yes'], { cwd })
    assert.equal(wrong.exitCode, 2)
    assert.match(wrong.stderr, /The url of azure in appliances\.yaml is not https:.*: a pin would belong to another/)
    const missing = await runCli(['trust', url, 'gcp', '--write', '--yes'], { cwd })
    assert.match(missing.stderr, /There is no appliance gcp in appliances\.yaml; there are: tenant, azure\./)
    assert.equal(read(), text)
    const right = await runCli(['trust', url, 'tenant', '--write', '--yes'], { cwd })
    assert.equal(right.exitCode, 0, right.stderr)
    assert.ok(read().includes(fingerprint))
  })

  test('--write asks for a name where several appliances have the address, or none', async t => {
    const { url, folder, cwd } = await setUp(t)
    const simulator = { url, fingerprint: AB }
    folder.write('two.yaml', `appliances:\n${entryOf('a', 'azure', simulator)}${entryOf('b', 'azure', simulator)}`)
    folder.write('none.yaml', 'appliances: {}\n')
    const run = (file: string) => runCli(['trust', url, '--write', '--yes', '--config', file], { cwd })
    assert.match((await run('two.yaml')).stderr, /Several appliances .*: a, b\. Name one after the URL\./)
    assert.match((await run('none.yaml')).stderr, /No appliance in none\.yaml has the url/)
    assert.match((await run('missing.yaml')).stderr, /there is no such file/)
  })

  test('an expired certificate is shown and said to be past pinning, and --write leaves the file as it is', async t => {
    const { cert, key } = await createCertificate({ days: 1, notBefore: new Date(Date.now() - 3 * 86_400_000) })
    const { url } = await listen(t, { tls: { cert, key } })
    const { text, cwd, read, folder } = await setUp(t)
    folder.write('appliances.yaml', text.replace(/url: https:\/\/127\.0\.0\.1:\d+/, `url: ${url}`))
    const before = read()
    const shown = await runCli(['trust', url], { cwd })
    assert.equal(shown.exitCode, 0)
    assert.match(shown.stdout, /^It has expired, and cannot be pinned\. Let the appliance have a new one\.$/m)
    assert.doesNotMatch(shown.stdout, /tls:|--write/)
    const written = await runCli(['trust', url, '--write', '--yes'], { cwd })
    assert.equal(written.exitCode, 1)
    assert.match(written.stderr, /Nothing was written: an expired certificate is trusted by no pin\./)
    assert.equal(read(), before)
  })

  test('--write follows a link to the file instead of replacing it', async t => {
    const { url, fingerprint, file, cwd, read } = await setUp(t)
    chmodSync(file, 0o600)
    symlinkSync(file, join(cwd, 'link.yaml'))
    const { exitCode } = await runCli(['trust', url, '--write', '--yes', '--config', 'link.yaml'], { cwd })
    assert.equal(exitCode, 0)
    assert.ok(lstatSync(join(cwd, 'link.yaml')).isSymbolicLink())
    assert.ok(read().includes(fingerprint))
    assert.equal(statSync(file).mode & 0o777, 0o600)
  })
})

describe('a pin in the text of a configuration', () => {
  const pinned = (text: string) => withPin(text, 'a', AB)

  test('goes below the url, with the indent, comments, quotes and line breaks of the file', () => {
    const cases = [
      ['appliances:\n  a:\n    url: u\n', `appliances:\n  a:\n    url: u\n    ${setting}\n`],
      ['appliances:\n  a:\n    url: u', `appliances:\n  a:\n    url: u\n    ${setting}\n`],
      [
        'appliances:\n      a:   # mine\n          url:   "u"   # over there\n\n          x: [1,   2]\n',
        `appliances:\n      a:   # mine\n          url:   "u"   # over there\n          ${setting}\n\n          x: [1,   2]\n`,
      ],
      [
        'appliances:\r\n  a:\r\n    url: u\r\n    x: 1\r\n',
        `appliances:\r\n  a:\r\n    url: u\r\n    ${setting}\r\n    x: 1\r\n`,
      ],
      ['appliances: { a: { url: u, x: 1 } }\n', `appliances: { a: { ${setting}, url: u, x: 1 } }\n`],
      ['{"appliances": {"a": {"url": "u"}}}', `{"appliances": {"a": {${setting}, "url": "u"}}}`],
      [
        'appliances:\n  b:\n    url: u\n  a:\n    x: 1\n    url: u\n',
        `appliances:\n  b:\n    url: u\n  a:\n    x: 1\n    url: u\n    ${setting}\n`,
      ],
    ]
    for (const [text = '', wanted] of cases) assert.equal(pinned(text), wanted)
  })

  test('takes the place of whatever tls holds', () => {
    const around = (tls: string) => `appliances:\n  a:\n    ${tls}\n    url: u # x\n  b: { tls: { verify: false } }\n`
    const cases = [
      'tls: { ca: my.pem }',
      `tls: { fingerprint: "${CD}" }`,
      'tls:\n      verify: false',
      'tls:\n      # why\n      verify:   false',
      'tls:',
      'tls: null',
      '"tls": {verify: false}',
      'tls: !!map { verify: false }',
    ]
    for (const tls of cases) assert.equal(pinned(around(tls)), around(setting), tls)
    assert.equal(pinned(around('tls: { ca: my.pem } # keep')), around(`${setting} # keep`))
    assert.equal(
      pinned('appliances:\n  a:\n    url: u\n    tls:\n      verify: false\n'),
      `appliances:\n  a:\n    url: u\n    ${setting}\n`,
    )
  })

  test('is left to the person where the text means more than one place', () => {
    const cases = [
      'appliances:\n  b: &b\n    url: u\n  a: *b\n',
      'appliances:\n  a:\n    url: u\n    tls: &t { verify: false }\n  b:\n    tls: *t\n',
      'appliances:\n  b: &b\n    url: u\n  a:\n    <<: *b\n',
      'appliances: {}\n',
      'appliances:\n  a: 1\n',
    ]
    for (const text of cases) assert.equal(pinned(text), undefined, text)
  })

  test('wins over what is merged in', () => {
    const text = 'x: &x { tls: { verify: false } }\nappliances:\n  a:\n    <<: *x\n    url: u\n'
    assert.equal(pinned(text), `${text}    ${setting}\n`)
  })
})
