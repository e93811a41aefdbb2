import type { IncomingMessage } from 'node:http'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { Logger } from 'pino'
import { targetOf } from '../proxy/mount.ts'
import type { Trace } from '../proxy/trace.ts'
import type { Redactor } from '../redactor.ts'
import { isWorthTelling } from '../worth-telling.ts'
import { RequestTrace, type TraceParts } from './request-trace.ts'

/** How long the end waits for a collector, in milliseconds. */
const LONGEST_FLUSH = 2_000
const NAME = 'veeam-auth-proxy'

export interface TracingParts {
  log: Logger
  redactor: Redactor
  version: string
}

/** The standard SDK, set up as its OTEL_… variables say: where spans go, which are kept, and what the service is called. */
export class Tracing {
  readonly #provider: NodeTracerProvider
  readonly #parts: TraceParts

  constructor({ log, redactor, version }: TracingParts) {
    tellOf(log)
    const own = resourceFromAttributes({ 'service.name': NAME, 'service.version': version })
    // What the environment says of the service wins.
    const resource = defaultResource()
      .merge(own)
      .merge(detectResources({ detectors: [envDetector] }))
    const spanProcessors = [new BatchSpanProcessor(new OTLPTraceExporter())]
    // Not registered as the process' own: every span is made here, with its parent in hand.
    this.#provider = new NodeTracerProvider({ resource, spanProcessors })
    this.#parts = { tracer: this.#provider.getTracer(NAME, version), clean: text => redactor.clean(text) }
  }

  /** Follows what is bound for an appliance; the proxy's own pages are asked for by probes. */
  readonly begin = (request: IncomingMessage): Trace | undefined => {
    const target = targetOf(request)
    return target === undefined ? undefined : new RequestTrace(this.#parts, request, target)
  }

  /** Sends what has not been sent, if that is possible in a moment. */
  async close(): Promise<void> {
    const late = new Promise(resolve => setTimeout(resolve, LONGEST_FLUSH).unref())
    await Promise.race([late, this.#provider.shutdown().catch(() => undefined)])
    diag.disable()
  }
}

/** The SDK keeps its troubles to itself otherwise. A collector that is away is told of ever less often. */
function tellOf(log: Logger): void {
  let times = 0
  const warn = (detail: string) => {
    times += 1
    if (isWorthTelling(times)) log.warn({ detail, repeated: times }, 'traces could not be sent')
  }
  const quiet = () => undefined
  const logger = { error: warn, warn, info: quiet, debug: quiet, verbose: quiet }
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
}
