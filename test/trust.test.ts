import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import type { TrustConfiguration } from '../src/config/configuration.ts'
import { createCertificate, type Simulator, type SimulatorOptions, simulatorRoot } from '../src/simulator/index.ts'
import { call, get, statusOf } from './caller.ts'
import { applianceAt, type Context, eventually, simulate, startProxy } from './rig.ts'

const product = 'azure'
const path = `/box${simulatorRoot[product]}/status/200`

async function start(
  t: Context,
  trust: (simulator: Simulator) => TrustConfiguration,
  options: Partial<SimulatorOptions> = {},
) {
  const simulator = await simulate(t, { product, ...options })
  const { url } = await startProxy(t, [applianceAt(simulator, product, { tls: trust(simulator) })])
  const problem = async () => {
    await eventually('an attempt', async () => (await statusOf(url)).get('lastError') !== null)
    return get(url, path)
  }
  const live = () => eventually('ready', async () => (await get(url, '/-/readyz')).status === 200)
  return { simulator, url, problem, live }
}

// Nearly all of this is waiting, so the tests wait side by side.
describe('trust', { concurrency: 6 }, () => {
  test('a self-signed certificate is refused by default, with its fingerprint, before anything is sent', async t => {
    const { simulator, problem } = await start(t, () => ({ verify: true }))
    const { status, json } = await problem()
    assert.deepEqual([status, json.get('code'), json.get('source')], [502, 'CERTIFICATE_UNTRUSTED', 'proxy'])
    assert.ok(String(json.get('detail')).includes(simulator.fingerprint))
    assert.match(String(json.get('remedy')), /tls\.fingerprint/)
    assert.deepEqual([simulator.counts.tokenRequests, simulator.counts.requests], [0, 0])
  })

  test('the problem about a certificate names its fingerprint in a member of its own', async t => {
    const { simulator, problem } = await start(t, () => ({ verify: true }))
    assert.equal((await problem()).json.get('shown'), simulator.fingerprint)
  })

  test('a certificate that the configured authority vouches for is accepted', async t => {
    const { url, live } = await start(t, ({ certificate }) => ({ verify: true, ca: certificate }))
    await live()
    assert.equal((await get(url, path)).status, 200)
  })

  test('a configured authority takes the place of all others: another certificate is refused', async t => {
    const other = await createCertificate()
    const { simulator, problem } = await start(t, () => ({ verify: true, ca: other.cert }))
    assert.equal((await problem()).json.get('code'), 'CERTIFICATE_UNTRUSTED')
    assert.equal(simulator.counts.tokenRequests, 0)
  })

  test('a certificate made for another name is refused though its authority is trusted', async t => {
    const certificate = await createCertificate({ commonName: 'other.example', altNames: ['other.example'] })
    const { simulator, problem } = await start(t, () => ({ verify: true, ca: certificate.cert }), { certificate })
    const { json } = await problem()
    assert.equal(json.get('code'), 'CERTIFICATE_UNTRUSTED')
    assert.match(String(json.get('detail')), /another name/)
    assert.equal(simulator.counts.tokenRequests, 0)
  })

  test('an expired certificate is refused though its authority is trusted', async t => {
    const certificate = await createCertificate({ days: 1, notBefore: new Date(Date.now() - 3 * 86_400_000) })
    const { simulator, problem } = await start(t, () => ({ verify: true, ca: certificate.cert }), { certificate })
    const { json } = await problem()
    assert.equal(json.get('code'), 'CERTIFICATE_UNTRUSTED')
    assert.match(String(json.get('detail')), /expired/)
    assert.equal(simulator.counts.tokenRequests, 0)
  })

  test('a pinned fingerprint is enough, whatever name its certificate has', async t => {
    const certificate = await createCertificate({ altNames: ['other.example'] })
    const { url, live } = await start(t, ({ fingerprint }) => ({ verify: true, fingerprint }), { certificate })
    await live()
    assert.equal((await get(url, path)).status, 200)
  })

  test('a pinned certificate that has expired is refused, with both fingerprints, and nothing is sent', async t => {
    const certificate = await createCertificate({ days: 1, notBefore: new Date(Date.now() - 3 * 86_400_000) })
    const { fingerprint } = certificate
    const { simulator, problem } = await start(t, () => ({ verify: true, fingerprint }), { certificate })
    const { status, json } = await problem()
    assert.deepEqual([status, json.get('code')], [502, 'CERTIFICATE_UNTRUSTED'])
    assert.deepEqual([json.get('shown'), json.get('pinned')], [fingerprint, fingerprint])
    assert.match(
      String(json.get('detail')),
      /shows the certificate \S+, and the configuration pins \S+\. It expired on /,
    )
    assert.deepEqual([simulator.counts.tokenRequests, simulator.counts.requests], [0, 0])
  })

  test('a pinned certificate that expires under a session gets the token over no new connection', async t => {
    const notBefore = new Date(Date.now() - 86_400_000 + 4_000)
    const certificate = await createCertificate({ days: 1, notBefore })
    const { simulator, url, live } = await start(t, ({ fingerprint }) => ({ verify: true, fingerprint }), {
      certificate,
    })
    await live()
    await eventually('it has expired', () => Date.now() > Date.parse(new X509Certificate(certificate.cert).validTo))
    // No request has been forwarded yet, so that the first one opens a connection.
    const { status, json } = await get(url, path)
    assert.deepEqual([status, json.get('code')], [502, 'CERTIFICATE_UNTRUSTED'])
    assert.equal(simulator.counts.requests, 0)
  })

  test('another certificate than the pinned one is refused, both are named, and nothing is sent', async t => {
    const pinned = (await createCertificate()).fingerprint
    const { simulator, problem } = await start(t, () => ({ verify: true, fingerprint: pinned }))
    const { status, json } = await problem()
    assert.deepEqual([status, json.get('code')], [502, 'CERTIFICATE_UNTRUSTED'])
    const detail = String(json.get('detail'))
    assert.ok(detail.includes(pinned) && detail.includes(simulator.fingerprint), detail)
    assert.equal(simulator.counts.tokenRequests, 0)
  })

  test('a certificate that was replaced behind a pin gets neither the token nor the password', async t => {
    const { simulator, url, live } = await start(t, ({ fingerprint }) => ({ verify: true, fingerprint }))
    await live()
    const before = simulator.fingerprint
    await simulator.rotateCertificate()
    const { requests, tokenRequests } = { ...simulator.counts }
    // No request has been forwarded yet, so that the first one opens a connection.
    const reply = await get(url, path)
    assert.deepEqual([reply.status, reply.json.get('code')], [502, 'CERTIFICATE_UNTRUSTED'])
    for (const name of [before, simulator.fingerprint]) assert.ok(reply.text.includes(name), name)
    const again = await call(url, { method: 'POST', path: '/-/appliances/box/sign-in' })
    assert.equal(again.json.get('code'), 'CERTIFICATE_UNTRUSTED')
    assert.deepEqual([simulator.counts.requests, simulator.counts.tokenRequests], [requests, tokenRequests])
  })

  test('an authority that did not sign the replaced certificate keeps the token from it too', async t => {
    const { simulator, url, live } = await start(t, ({ certificate }) => ({ verify: true, ca: certificate }))
    await live()
    await simulator.rotateCertificate()
    const reply = await get(url, path)
    assert.deepEqual([reply.status, reply.json.get('code')], [502, 'CERTIFICATE_UNTRUSTED'])
    assert.equal(simulator.counts.requests, 0)
  })

  test('with verify: false any certificate is accepted', async t => {
    const certificate = await createCertificate({ altNames: ['other.example'] })
    const { url, live } = await start(t, () => ({ verify: false }), { certificate })
    await live()
    assert.equal((await get(url, path)).status, 200)
  })

  test('an untrusted certificate is tried again by itself, for somebody may put it right at the appliance', async t => {
    const certificate = await createCertificate()
    const { simulator, live } = await start(t, () => ({ verify: true, ca: certificate.cert }), {})
    await new Promise(resolve => setTimeout(resolve, 300))
    assert.equal(simulator.counts.tokenRequests, 0)
    await simulator.close()
    await simulate(t, { product, certificate, port: simulator.port })
    await live()
  })

  test('an appliance that speaks no TLS is told as unreachable, and gets no credentials', async t => {
    const simulator = await simulate(t, { product, http: true })
    const secure = { ...simulator, url: simulator.url.replace('http:', 'https:') }
    const { url } = await startProxy(t, [applianceAt(secure, product, { tls: { verify: false } })])
    await eventually('an attempt', async () => (await statusOf(url)).get('lastError') !== null)
    assert.equal((await get(url, path)).json.get('reason'), 'APPLIANCE_UNREACHABLE')
    assert.equal(simulator.counts.tokenRequests, 0)
  })
})
