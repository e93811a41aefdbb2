import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { connect, type PeerCertificate } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { CertificatePair } from '../src/listen/address.ts'
import { authorityDirectory } from '../src/listen/authority-directory.ts'
import { LocalAuthorityError, openAuthority } from '../src/listen/local-authority.ts'
import { LocalCertificates } from '../src/listen/local-certificates.ts'
import { makeAuthority, makeKeyPair, makeLeaf } from '../src/listen/x509.ts'
import { runCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { ask, listen } from './listener-rig.ts'
import { eventually } from './rig.ts'

const execute = promisify(execFile)
const tsx = fileURLToPath(import.meta.resolve('tsx'))
const authorityModule = new URL('../src/listen/local-authority.ts', import.meta.url).href
const DAY = 86_400_000
const LOOPBACK = 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1'

/** The leaf of the chain that is provided. */
function leafOf({ cert }: CertificatePair): X509Certificate {
  return new X509Certificate(cert)
}

/** What openssl says of a chain for a host under the strict rules that Python 3.13 follows by default. */
async function opensslSays(folder: string, ca: string, leaf: string, host: string): Promise<string> {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const which = /^[\d.:]+$/.test(host) ? '-verify_ip' : '-verify_hostname'
  const files = ['-CAfile', file('ca.pem', ca), file('leaf.pem', leaf)]
  const args = ['verify', '-x509_strict', '-purpose', 'sslserver', which, host, ...files]
  const { stdout, stderr } = await execute('openssl', args).catch(error => error)
  return stdout + stderr
}

async function provided(
  t: TestContext,
  { names = [], life }: { names?: readonly string[]; life?: number } = {},
): Promise<{ certificates: LocalCertificates; pairs: CertificatePair[]; end: () => void; directory: string }> {
  const { path: directory } = temporaryFolder(t)
  const certificates = await LocalCertificates.open({ directory, ...(life === undefined ? {} : { life }) })
  const pairs: CertificatePair[] = []
  const end = certificates.provide(
    () => names,
    pair => pairs.push(pair),
  )
  t.after(end)
  return { certificates, pairs, end, directory }
}

describe('the local authority', { concurrency: 4 }, () => {
  test('is made once for ten years, its key for the owner only and its certificate for everybody', async t => {
    const directory = join(temporaryFolder(t).path, 'state')
    const first = await openAuthority(directory)
    assert.deepEqual(await openAuthority(directory), first)
    assert.deepEqual(readdirSync(directory), ['local-ca.key', 'local-ca.pem'])
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.equal(statSync(join(directory, 'local-ca.key')).mode & 0o777, 0o600)
    assert.equal(statSync(first.file).mode & 0o777, 0o644)
    assert.equal(readFileSync(first.file, 'utf8'), first.cert)
    const certificate = new X509Certificate(first.cert)
    const years = (Date.parse(certificate.validTo) - Date.now()) / (365.25 * DAY)
    assert.ok(Math.abs(years - 10) < 0.01, String(years))
  })

  test('may sign certificates and revocation lists, no further authority, and nothing but loopback names', async t => {
    const { path } = temporaryFolder(t)
    const { file } = await openAuthority(path)
    const { stdout } = await execute('openssl', ['x509', '-in', file, '-noout', '-text'])
    const text = stdout.replaceAll(/\s*\n\s*/g, ' ')
    assert.match(text, /X509v3 Basic Constraints: critical CA:TRUE, pathlen:0 /)
    assert.match(text, /X509v3 Key Usage: critical Certificate Sign, CRL Sign /)
    assert.match(
      text,
      /X509v3 Name Constraints: critical Permitted: DNS:localhost IP:127\.0\.0\.0\/255\.0\.0\.0 IP:0:0:0:0:0:0:0:1\/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF /,
    )
    assert.match(text, /Public-Key: \(2048 bit\)/)
  })

  test('is believed for loopback names and for no other, even when its key is misused', async t => {
    const { path } = temporaryFolder(t)
    const now = Date.now()
    const validity = { from: now, to: now + DAY }
    const [authority, keys] = await Promise.all([makeAuthority({ from: now, to: now + 2 * DAY }), makeKeyPair()])
    for (const name of ['localhost', 'tenant.localhost', '127.0.0.1', '::1']) {
      const { cert } = makeLeaf(authority, { names: ['localhost', name], keys, validity })
      assert.match(await opensslSays(path, authority.cert, cert, name), /: OK\n$/, name)
    }
    for (const name of ['www.example.com', '192.0.2.1', 'notlocalhost']) {
      const { cert } = makeLeaf(authority, { names: ['localhost', name], keys, validity })
      assert.match(await opensslSays(path, authority.cert, cert, name), /permitted subtree violation/, name)
    }
  })

  test('is one and the same for processes that make it at the same time', async t => {
    const { path } = temporaryFolder(t)
    const code = `const { openAuthority } = await import(${JSON.stringify(authorityModule)})
      const { cert, key } = await openAuthority(${JSON.stringify(path)})
      process.stdout.write(JSON.stringify({ cert, key }))`
    const processes = Array.from({ length: 4 }, () =>
      execute(process.execPath, ['--import', tsx, '--input-type=module', '--eval', code]),
    )
    const inside = Promise.all(Array.from({ length: 3 }, () => openAuthority(path)))
    const made = [...(await Promise.all(processes)).map(({ stdout }) => JSON.parse(stdout)), ...(await inside)]
    assert.equal(made.length, 7)
    assert.equal(new Set(made.map(({ cert }) => cert)).size, 1)
    assert.equal(new Set(made.map(({ key }) => key)).size, 1)
    assert.deepEqual(readdirSync(path).sort(), ['local-ca.key', 'local-ca.pem'])
    assert.equal(readFileSync(join(path, 'local-ca.pem'), 'utf8'), made[0].cert)
  })

  test('is refused when others can read its key, when it is damaged and when it has expired', async t => {
    const folder = temporaryFolder(t)
    const { key, cert } = await openAuthority(folder.path)
    const file = join(folder.path, 'local-ca.key')
    const refusal = (pattern: RegExp) =>
      assert.rejects(openAuthority(folder.path), (error: Error) => {
        assert.ok(error instanceof LocalAuthorityError)
        assert.match(error.message, pattern)
        assert.ok(error.message.includes(file))
        return true
      })
    chmodSync(file, 0o640)
    await refusal(/can be read by others.* Run: chmod 600 /)
    chmodSync(file, 0o600)
    const other = await makeAuthority({ from: Date.now(), to: Date.now() + DAY })
    for (const text of ['', cert, key, other.key + cert, `${key}${cert.slice(0, 200)}${cert.slice(210)}`]) {
      writeFileSync(file, text)
      await refusal(/is damaged\. Remove it, start again, and let the tools trust the new one: .* trust-local/)
    }
    const past = await makeAuthority({ from: Date.now() - 2 * DAY, to: Date.now() - DAY })
    writeFileSync(file, past.key + past.cert)
    await refusal(/was valid until .* Remove it/)
  })

  test('whose certificate was removed or changed gets it back from its own file', async t => {
    const folder = temporaryFolder(t)
    const { cert, file } = await openAuthority(folder.path)
    folder.write('local-ca.pem', 'something else')
    await openAuthority(folder.path)
    assert.equal(readFileSync(file, 'utf8'), cert)
  })

  test('that cannot be kept anywhere says what to set', async t => {
    const file = temporaryFolder(t).write('file', '')
    await assert.rejects(openAuthority(join(file, 'state')), /cannot be kept in .* \(ENOTDIR\)\. Set stateDirectory/)
  })

  test('is kept with the sessions, or else where the system has programs keep their state', () => {
    const given = { stateDirectory: undefined, env: {}, home: '/home/a', platform: 'linux' } as const
    assert.equal(authorityDirectory({ ...given, stateDirectory: '/var/lib/x' }), '/var/lib/x')
    assert.equal(authorityDirectory(given), '/home/a/.local/state/veeam-auth-proxy')
    assert.equal(authorityDirectory({ ...given, env: { XDG_STATE_HOME: '/s' } }), '/s/veeam-auth-proxy')
    assert.equal(
      authorityDirectory({ ...given, env: { XDG_STATE_HOME: 'relative' } }),
      '/home/a/.local/state/veeam-auth-proxy',
    )
    assert.match(
      authorityDirectory({ ...given, platform: 'win32', env: { LOCALAPPDATA: 'L' } }),
      /^L.veeam-auth-proxy$/,
    )
  })
})

describe('certificates of the local authority', { concurrency: 4 }, () => {
  test('are good for the loopback and the given names, for servers only, and for 90 days', async t => {
    const { pairs, certificates, directory } = await provided(t, { names: ['tenant.localhost'] })
    const [pair] = pairs
    assert.ok(pair)
    const leaf = leafOf(pair)
    assert.equal(leaf.subjectAltName, `${LOOPBACK}, DNS:tenant.localhost`)
    assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'])
    assert.equal(leaf.ca, false)
    const days = (Date.parse(leaf.validTo) - Date.now()) / DAY
    assert.ok(Math.abs(days - 90) < 0.1, String(days))
    assert.ok(leaf.verify(new X509Certificate(certificates.authority.cert).publicKey))
    assert.deepEqual(readdirSync(directory), ['local-ca.key', 'local-ca.pem'], 'no key of theirs reaches the disk')
  })

  test('are served by a listener with tls: auto, and trusted by Node.js, curl and Python with the authority', async t => {
    const { path: directory } = temporaryFolder(t)
    const certificates = await LocalCertificates.open({ directory })
    const names = () => ['tenant.localhost']
    const { url } = await listen(t, { tls: 'auto', certificates, names, address: { host: '127.0.0.1', port: 0 } })
    assert.match(url, /^https:/)
    const { port } = new URL(url)
    const { cert: ca, file } = certificates.authority
    for (const servername of ['localhost', 'tenant.localhost']) {
      assert.equal((await ask(url, { ca, servername })).status, 200, servername)
    }
    await assert.rejects(ask(url, { ca, servername: 'azure.localhost' }), /altnames/)
    await assert.rejects(ask(url), /self-signed|unable to/)
    for (const host of ['127.0.0.1', 'localhost', 'tenant.localhost']) {
      const resolve = ['--resolve', `${host}:${port}:127.0.0.1`]
      const { stdout } = await execute('curl', ['-sS', '--cacert', file, ...resolve, `https://${host}:${port}/curl`])
      assert.match(stdout, /"url":"\/curl"/)
    }
    const script = `import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
context.verify_flags |= ssl.VERIFY_X509_STRICT
print(urllib.request.urlopen(sys.argv[1], context=context).read().decode())`
    const { stdout } = await execute('python3', ['-c', script, `https://127.0.0.1:${port}/python`, file])
    assert.match(stdout, /"url":"\/python"/)
  })

  test('are made anew before two thirds of their life, and shown from the next connection on', async t => {
    const life = 6_000
    const { path: directory } = temporaryFolder(t)
    const certificates = await LocalCertificates.open({ directory, life })
    const { url } = await listen(t, { tls: 'auto', certificates })
    const shown = async (): Promise<PeerCertificate> => {
      const { port } = new URL(url)
      const socket = connect({ host: '127.0.0.1', port: Number(port), ca: certificates.authority.cert })
      await once(socket, 'secureConnect')
      const certificate = socket.getPeerCertificate()
      socket.destroy()
      return certificate
    }
    const first = await shown()
    let next = first
    await eventually('another certificate', async () => {
      next = await shown()
      return next.serialNumber !== first.serialNumber
    })
    const lived = life - (Date.parse(first.valid_to) - Date.now())
    assert.ok(lived >= 0.5 * life, `made anew after ${lived} ms`)
    assert.ok(Date.parse(next.valid_to) > Date.parse(first.valid_to))
  })

  test('are made anew when other names are wanted, and only then', async t => {
    const names = ['tenant.localhost']
    const { certificates, pairs, end } = await provided(t, { names })
    certificates.refresh()
    assert.equal(pairs.length, 1)
    names.push('azure.localhost')
    certificates.refresh()
    assert.equal(pairs.length, 2)
    assert.match(
      pairs[1] === undefined ? '' : (leafOf(pairs[1]).subjectAltName ?? ''),
      /tenant\.localhost, DNS:azure\.local/,
    )
    end()
    names.push('gcp.localhost')
    certificates.refresh()
    assert.equal(pairs.length, 2, 'nobody is left to want them')
  })

  test('do not keep a process from ending', async t => {
    const { path } = temporaryFolder(t)
    const module = new URL('../src/listen/local-certificates.ts', import.meta.url).href
    const code = `const { LocalCertificates } = await import(${JSON.stringify(module)})
      const certificates = await LocalCertificates.open({ directory: ${JSON.stringify(path)} })
      certificates.provide(() => [], () => process.stdout.write('provided'))`
    const options = { timeout: 60_000 }
    const { stdout } = await execute(process.execPath, ['--import', tsx, '--input-type=module', '-e', code], options)
    assert.equal(stdout, 'provided')
  })

  test('a listener with tls: auto and no authority is refused', async () => {
    await assert.rejects(listen({ after() {} }, { tls: 'auto' }), /wants a local authority for tls: auto/)
  })
})

describe('trust-local', { concurrency: 2 }, () => {
  test('makes the authority where there is none, and prints its path, its PEM and a line for each tool', async t => {
    const { path } = temporaryFolder(t)
    const directory = join(path, 'state')
    const { exitCode, stdout, stderr } = await runCli(['trust-local'], {
      env: { STATE_DIRECTORY: directory },
      cwd: path,
    })
    assert.deepEqual([exitCode, stderr], [0, ''])
    const { cert, file } = await openAuthority(directory)
    assert.ok(stdout.startsWith(`${file}\n\n${cert}`), stdout)
    for (const line of [
      `curl:             curl --cacert ${file} https://localhost:PORT/`,
      `Python requests:  REQUESTS_CA_BUNDLE=${file} python3 SCRIPT`,
      `Node.js:          NODE_EXTRA_CA_CERTS=${file} node SCRIPT`,
      `Windows:          certutil -user -addstore Root "${file}"`,
      `macOS:            security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ${file}`,
      `Debian:           sudo cp ${file} /usr/local/share/ca-certificates/veeam-auth-proxy.crt && sudo update-ca-certificates`,
    ]) {
      assert.ok(stdout.includes(`${line}\n`), line)
    }
  })

  test('finds the state directory of the configuration, whose secrets it does not read', async t => {
    const folder = temporaryFolder(t)
    folder.write('a.yaml', 'stateDirectory: kept here\nstateKey: { file: missing }\nappliances: {}\n')
    const { exitCode, stdout } = await runCli(['trust-local', '--config', 'a.yaml'], { cwd: folder.path })
    const file = join(folder.path, 'kept here', 'local-ca.pem')
    assert.equal(exitCode, 0)
    assert.ok(stdout.startsWith(`${file}\n`), stdout)
    assert.ok(stdout.includes(`curl --cacert '${file}' `), 'quoted for a shell')
  })

  test('needs no access to the key of an authority that is there', async t => {
    const folder = temporaryFolder(t)
    const { cert } = await openAuthority(folder.path)
    folder.write('local-ca.key', 'belongs to the account of the proxy')
    const { stdout } = await runCli(['trust-local'], { env: { STATE_DIRECTORY: folder.path }, cwd: folder.path })
    assert.ok(stdout.includes(cert))
  })

  test('without a state directory uses the one of the account', async t => {
    const { path } = temporaryFolder(t)
    const { stdout } = await runCli(['trust-local'], { env: { XDG_STATE_HOME: path }, cwd: path })
    assert.ok(stdout.startsWith(`${join(path, 'veeam-auth-proxy', 'local-ca.pem')}\n`), stdout)
  })
})
