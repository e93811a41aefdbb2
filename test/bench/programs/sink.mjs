import { createServer } from 'node:http'

// Reads every body to its end and answers 204, on the socket file given.
const [path] = process.argv.slice(2)
createServer({ requestTimeout: 0 }, (request, response) => {
  request.on('end', () => response.writeHead(204).end())
  request.resume()
}).listen(path)
