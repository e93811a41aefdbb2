import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Exchange, openExchange, send } from './answer.ts'
import { Authority } from './authority.ts'
import { createCertificate, fingerprintOf } from './certificate.ts'
import { type Controls, control } from './control.ts'
import { newCounts } from './counts.ts'
import { commit, createFaults } from './faults.ts'
import { type Place, type Profile, refreshLifeOf } from './profile.ts'
import { seeded } from './random.ts'
import { TokenStore } from './tokens.ts'
import { createTransfer } from './transfer.ts'

export const defaultUsername = 'Administrator'
/** Every character that a careless form encoding loses. */
export const defaultPassword = 'Passw0rd+/=& %25#ü'

export interface ApplianceOptions {
  /** 0, the default: any free one. */
  port?: number
  /** Default 127.0.0.1. A simulator is a development tool: never bind it to a reachable address. */
  host?: string
  username?: string
  password?: string
  /** Seconds, fractions allowed; default: as documented for the product. */
  tokenLife?: number
  /** Seconds; default: as documented for the product. */
  refreshLife?: number
  /** Base32; MFA is on when it is set. */
  totpSecret?: string
  /** Seconds, default 300. */
  mfaTokenLife?: number
  /** Milliseconds before each answer. */
  latency?: number
  /** Share of the resource requests answered 500, 0 to 1. */
  errorRate?: number
  /** Of the generator behind `errorRate` and the items; default 1. */
  seed?: number
  /** Plain HTTP instead of TLS. */
  http?: boolean
  /** PEM; default: self-signed, made at the start, for localhost, 127.0.0.1 and ::1. */
  certificate?: { cert: string; key: string }
  /** A request field that must repeat the second antiforgery cookie's value, where the product has such cookies. */
  antiforgeryField?: string
  /** Each resource answer sets an antiforgery cookie anew, where the product has such cookies. */
  rotateCookies?: boolean
  /** Values of x-api-version that are served, where the product has that field; a refusal names them all. */
  supportedVersions?: readonly string[]
}

export interface Simulator extends Controls {
  url: string
  port: number
  /** PEM of the leaf, usable as `ca`. Empty with plain HTTP, and so is the fingerprint. */
  certificate: string
  /** SHA-256, `AB:CD:…`. */
  fingerprint: string
  /** The random names of the antiforgery cookies; empty where the product has none. */
  cookieNames: readonly string[]
  /** Ends connections too. */
  close(): Promise<void>
}

const controlRoot = '/simulator/'
const testRoot = '/simulator'

export async function startAppliance(profile: Profile, options: ApplianceOptions): Promise<Simulator> {
  const host = options.host ?? '127.0.0.1'
  const tokenLife = options.tokenLife ?? profile.tokenLife
  let shift = 0
  // Not Date: a test that fakes the proxy's clock must not move the appliance's.
  const now = () => performance.timeOrigin + performance.now() + shift
  const counts = newCounts()
  const random = seeded(options.seed ?? 1)
  const faults = createFaults()
  const authority = new Authority({
    now,
    counts,
    username: options.username ?? defaultUsername,
    password: options.password ?? defaultPassword,
    totpSecret: options.totpSecret,
    mfaTokenLife: options.mfaTokenLife ?? 300,
    tokens: new TokenStore({
      now,
      tokenLife,
      refreshLife: refreshLifeOf(profile, tokenLife, options.refreshLife),
      algorithm: profile.algorithm,
      claims: profile.claims,
    }),
  })

  let certificate = options.http ? undefined : (options.certificate ?? (await createCertificate()))
  const server: Server | TlsServer = certificate === undefined ? createServer() : createTlsServer(certificate)
  // Longer than any caller's own idle limit, and no limit on how long an upload may take.
  server.keepAliveTimeout = 120_000
  server.requestTimeout = 0
  const sockets = new Map<number, Socket>()
  server.on('connection', (socket: Socket) => {
    const { remotePort = 0 } = socket
    sockets.set(remotePort, socket)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      if (sockets.get(remotePort) === socket) sockets.delete(remotePort)
    })
  })
  const port = await listen(server, options.port ?? 0, host)
  const url = `${certificate === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`

  const transfer = createTransfer(counts, url)
  const manner = profile.start({
    origin: url,
    now,
    authority,
    counts,
    random,
    antiforgeryField: options.antiforgeryField?.toLowerCase(),
    rotateCookies: options.rotateCookies ?? false,
    supportedVersions: options.supportedVersions,
  })
  const faultTools = {
    failure: manner.failure,
    socketOf: ({ request }: Exchange) => sockets.get(request.socket.remotePort ?? 0),
  }

  const simulator: Simulator = {
    url,
    port,
    certificate: certificate?.cert ?? '',
    fingerprint: certificate === undefined ? '' : fingerprintOf(certificate.cert),
    cookieNames: manner.cookieNames ?? [],
    counts,
    issueAuthorizationCode: () => authority.issueCode(),
    revoke: (what = 'all') => authority.revoke(what),
    rotateCertificate: async () => {
      if (!('setSecureContext' in server)) return
      certificate = await createCertificate()
      server.setSecureContext(certificate)
      simulator.certificate = certificate.cert
      simulator.fingerprint = fingerprintOf(certificate.cert)
    },
    misbehave: fault => faults.set(fault),
    shiftClock: milliseconds => {
      shift += milliseconds
    },
    setPassword: password => {
      authority.password = password
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        for (const socket of sockets.values()) socket.destroy()
      }),
  }

  const answerToken = async (exchange: Exchange, place: Place): Promise<void> => {
    counts.tokenRequests += 1
    const fault = faults.strike('token')
    if (fault !== undefined) return commit(fault, exchange, faultTools)
    send(exchange.response, manner.precondition?.(exchange) ?? (await manner.token(exchange, place)))
  }

  const answerResource = async (exchange: Exchange, place: Place): Promise<void> => {
    const { response } = exchange
    counts.requests += 1
    response.once('close', () => {
      if (!response.writableFinished) counts.aborted += 1
    })
    const fault = faults.strike('resources')
    if (fault !== undefined && fault.answer !== 'hang' && fault.answer !== 'reset') {
      return commit(fault, exchange, faultTools)
    }
    const early = manner.precondition?.(exchange)
    if (early !== undefined) return send(response, early)
    const authorized = manner.authorize(exchange)
    if ('refusal' in authorized) {
      counts.unauthorized += 1
      return send(response, authorized.refusal)
    }
    const rest = place.rest.startsWith(`${testRoot}/`) ? place.rest.slice(testRoot.length) : undefined
    if (fault !== undefined) {
      if (rest !== undefined) transfer.takeEffect(exchange, rest)
      return commit(fault, exchange, faultTools)
    }
    if (options.errorRate !== undefined && random.next() < options.errorRate) {
      return send(response, manner.failure(500, 'The simulator fails now and then, as it was told to.'))
    }
    for (const [name, value] of Object.entries(manner.resourceFields?.(exchange, authorized.pair) ?? {})) {
      response.setHeader(name, value)
    }
    if (rest !== undefined && (await transfer.handle(exchange, rest))) return
    send(response, manner.resource(exchange, place) ?? manner.failure(404, 'There is no such resource.'))
  }

  const answer = async (exchange: Exchange): Promise<void> => {
    if (exchange.path.startsWith(controlRoot)) return control(exchange, simulator)
    if (options.latency !== undefined && options.latency > 0) await sleep(options.latency)
    const place = manner.locate(exchange.path)
    if (place === undefined) return send(exchange.response, { status: 404 })
    if (place.kind === 'token') return answerToken(exchange, place)
    if (place.kind === 'resource') return answerResource(exchange, place)
    send(exchange.response, manner.resource(exchange, place) ?? { status: 404 })
  }

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    answer(openExchange(request, response)).catch(() => {
      // The caller went away in the middle of its body; nobody is left to tell.
      response.destroy()
    })
  })
  return simulator
}

async function listen(server: Server | TlsServer, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') throw new Error('the simulator has no TCP address')
  return address.port
}
