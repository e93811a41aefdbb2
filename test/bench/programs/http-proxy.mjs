import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Agent } from 'node:https'
import httpProxy from 'http-proxy'

const { port, origin, token, ca } = JSON.parse(process.argv[2])
const proxy = httpProxy.createProxyServer({
  target: origin,
  agent: new Agent({ keepAlive: true, maxSockets: 256, ca: readFileSync(ca) }),
  changeOrigin: true,
  headers: { authorization: `Bearer ${token}` },
})
proxy.on('error', (_, __, response) => response.writeHead(502).end())
createServer({ requestTimeout: 0 }, (request, response) => proxy.web(request, response)).listen(port, '127.0.0.1')
