import type { IncomingMessage } from 'node:http'
import {
  type Attributes,
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { Failure } from '../errors.ts'
import { type Account, CALLER_LEFT, type EndedRequest } from '../proxy/account.ts'
import type { Target } from '../proxy/mount.ts'
import type { Hop, Trace } from '../proxy/trace.ts'

const propagator = new W3CTraceContextPropagator()

/** Of the semantic conventions; any other method is `_OTHER` there, so that names of spans stay few. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export interface TraceParts {
  tracer: Tracer
  /** The text without any known secret. */
  clean: (text: string) => string
}

/**
 * The spans of one request, named and described by the semantic conventions for HTTP: one for the whole of it, and one
 * below for each sending to the appliance. No query value, no field but the user agent's, and no body is in them.
 */
export class RequestTrace implements Trace {
  readonly #tracer: Tracer
  readonly #clean: TraceParts['clean']
  readonly #span: Span
  readonly #context: Context
  readonly #method: string
  readonly #mount: string
  #sendings = 0

  constructor({ tracer, clean }: TraceParts, request: IncomingMessage, { mount, path }: Target) {
    this.#tracer = tracer
    this.#clean = clean
    this.#mount = mount
    this.#method = METHODS.has(request.method ?? '') ? (request.method ?? '') : 'HTTP'
    const { headers, socket } = request
    const parent = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter)
    const attributes: Attributes = {
      ...methodOf(request.method),
      ...addressOf(headers.host),
      'url.scheme': 'encrypted' in socket ? 'https' : 'http',
      'url.path': mount + clean(path.split('?', 1)[0] ?? ''),
      'network.protocol.version': request.httpVersion,
      ...(socket.remoteAddress === undefined ? {} : { 'client.address': socket.remoteAddress }),
      ...(headers['user-agent'] === undefined ? {} : { 'user_agent.original': headers['user-agent'] }),
    }
    this.#span = tracer.startSpan(this.#method, { kind: SpanKind.SERVER, attributes }, parent)
    this.#context = trace.setSpan(parent, this.#span)
  }

  sent({ method, path, origin }: { method: string; path: string; origin: string }): Hop {
    const attributes: Attributes = {
      ...methodOf(method),
      ...addressOf(new URL(origin).host, origin),
      'url.full': origin + this.#clean(withoutValues(path)),
      ...(this.#sendings === 0 ? {} : { 'http.request.resend_count': this.#sendings }),
    }
    this.#sendings += 1
    return new SentHop(
      this.#tracer.startSpan(this.#method, { kind: SpanKind.CLIENT, attributes }, this.#context),
      this.#context,
    )
  }

  ended(
    { id, appliance, caller, failure, fromUpstream, waited, bytesUp, bytesDown }: Account,
    request: EndedRequest,
  ): void {
    const span = this.#span
    if (appliance !== undefined) {
      const route = `${this.#mount}/*`
      span.updateName(`${this.#method} ${route}`)
      span.setAttributes({ 'http.route': route, 'veeam_auth_proxy.appliance': appliance })
    }
    if (caller !== undefined) span.setAttribute('veeam_auth_proxy.caller', caller.name)
    span.setAttributes({
      'veeam_auth_proxy.request_id': id,
      'veeam_auth_proxy.source': fromUpstream ? 'upstream' : 'proxy',
      'veeam_auth_proxy.waited_ms': waited,
      'http.request.body.size': bytesUp,
      'http.response.body.size': bytesDown,
    })
    const { status, whole } = request
    const left = status === CALLER_LEFT && !fromUpstream
    if (!left) span.setAttribute('http.response.status_code', status)
    const error = failure ?? (left || !whole ? 'cut off' : status >= 500 ? String(status) : undefined)
    if (error !== undefined) span.setAttribute('error.type', error)
    if (status >= 500 || (failure !== undefined && fromUpstream)) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end()
  }
}

class SentHop implements Hop {
  readonly fields: Record<string, string> = {}
  readonly #span: Span

  constructor(span: Span, parent: Context) {
    this.#span = span
    propagator.inject(trace.setSpan(parent, span), this.fields, defaultTextMapSetter)
  }

  answered(status: number): void {
    this.#span.setAttribute('http.response.status_code', status)
    if (status < 400) return
    this.#span.setAttribute('error.type', String(status))
    this.#span.setStatus({ code: SpanStatusCode.ERROR })
  }

  ended(error?: Error): void {
    if (error !== undefined) {
      this.#span.setAttribute('error.type', typeOf(error))
      this.#span.setStatus({ code: SpanStatusCode.ERROR })
    }
    this.#span.end()
  }
}

function methodOf(method = ''): Attributes {
  if (METHODS.has(method)) return { 'http.request.method': method }
  return { 'http.request.method': '_OTHER', 'http.request.method_original': method }
}

/** @param origin says which port is meant where the host names none */
function addressOf(host: string | undefined, origin = ''): Attributes {
  const [, address, port] = /^(.*?)(?::(\d+))?$/.exec(host ?? '') ?? []
  if (address === undefined || address === '') return {}
  const standard = origin.startsWith('https:') ? 443 : 80
  if (port === undefined && origin === '') return { 'server.address': address }
  return { 'server.address': address, 'server.port': port === undefined ? standard : Number(port) }
}

/** As the conventions want it: the names of a query, and for each of their values a word. */
function withoutValues(path: string): string {
  const at = path.indexOf('?')
  if (at === -1) return path
  const pairs = path.slice(at + 1).split('&')
  const shown = pairs.map(pair => (pair.includes('=') ? `${pair.slice(0, pair.indexOf('='))}=REDACTED` : 'REDACTED'))
  return `${path.slice(0, at)}?${shown.join('&')}`
}

function typeOf(error: Error): string {
  if (error instanceof Failure) return error.code
  return 'code' in error ? String(error.code) : error.name
}
