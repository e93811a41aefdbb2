import { createServer } from 'node:http'

// One half of the floor: a server that answers with a body it has in memory.
const { port, body } = JSON.parse(process.argv[2])
const bytes = Buffer.from(body)
const fields = { 'content-type': 'application/json', 'content-length': bytes.length }
createServer({ keepAliveTimeout: 72_000 }, (_, response) => {
  response.writeHead(200, fields)
  response.end(bytes)
}).listen(port, '127.0.0.1')
