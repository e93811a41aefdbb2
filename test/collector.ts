import { once } from 'node:events'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import Type from 'typebox'
import { Parse } from 'typebox/value'
import type { Context } from './rig.ts'

const Value = Type.Object({
  stringValue: Type.Optional(Type.String()),
  intValue: Type.Optional(Type.Union([Type.Number(), Type.String()])),
  doubleValue: Type.Optional(Type.Number()),
})
const Attributes = Type.Array(Type.Object({ key: Type.String(), value: Value }))
const Span = Type.Object({
  traceId: Type.String(),
  spanId: Type.String(),
  parentSpanId: Type.Optional(Type.String()),
  name: Type.String(),
  kind: Type.Number(),
  attributes: Attributes,
  status: Type.Object({ code: Type.Optional(Type.Number()) }),
})
const Export = Type.Object({
  resourceSpans: Type.Array(
    Type.Object({
      resource: Type.Object({ attributes: Attributes }),
      scopeSpans: Type.Array(Type.Object({ spans: Type.Array(Span) })),
    }),
  ),
})

export interface Collected {
  traceId: string
  spanId: string
  parent: string | undefined
  name: string
  kind: 'server' | 'client' | 'other'
  attributes: Record<string, string | number | undefined>
  isError: boolean
}

/** A collector of traces that speaks OTLP over HTTP with JSON, on the loopback. */
export async function startCollector(t: Context) {
  const spans: Collected[] = []
  const services: Record<string, string | number | undefined>[] = []
  const texts: string[] = []
  const server = createServer(async (request, response) => {
    const body = await buffer(request)
    const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
    texts.push(text)
    for (const { resource, scopeSpans } of Parse(Export, JSON.parse(text)).resourceSpans) {
      services.push(plain(resource.attributes))
      for (const { spans: sent } of scopeSpans) {
        for (const { traceId, spanId, parentSpanId, name, kind, attributes, status } of sent) {
          spans.push({
            traceId,
            spanId,
            parent: parentSpanId || undefined,
            name,
            kind: kind === 2 ? 'server' : kind === 3 ? 'client' : 'other',
            attributes: plain(attributes),
            isError: status.code === 2,
          })
        }
      }
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, spans, services, text: () => texts.join('\n') }
}

function plain(attributes: Type.Static<typeof Attributes>): Record<string, string | number | undefined> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.doubleValue ?? (value.intValue === undefined ? undefined : Number(value.intValue)),
    ]),
  )
}
