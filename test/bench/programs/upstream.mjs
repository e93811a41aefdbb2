import { createReadStream, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'

// The upstream where nginx is not installed: what the configuration in upstream.ts says, in Node.js.
const { content, port, ca, key, token, granted } = JSON.parse(process.argv[2])
const wanted = `Bearer ${token}`
const small = new Map(['/1k.json', '/64k.json'].map(path => [path, readFileSync(join(content, path))]))
const stream = join(content, 'stream')
const json = { 'content-type': 'application/json' }

function answer(request, response) {
  if (request.url === '/api/oauth2/token') return whole(request, response, Buffer.from(granted))
  if (request.headers.authorization !== wanted) return response.writeHead(401).end()
  const body = small.get(request.url)
  if (body !== undefined) return whole(request, response, body)
  if (request.url === '/upload') return request.on('end', () => response.writeHead(204).end()).resume()
  if (request.url !== '/stream') return response.writeHead(404).end()
  response.writeHead(200, { 'content-length': statSync(stream).size })
  createReadStream(stream, { highWaterMark: 262_144 }).pipe(response)
}

function whole(request, response, body) {
  request.resume()
  response.writeHead(200, { ...json, 'content-length': body.length }).end(body)
}

const options = { cert: readFileSync(ca), key: readFileSync(key), keepAliveTimeout: 3_600_000, requestTimeout: 0 }
createServer(options, answer).listen(port, '127.0.0.1', 4096)
