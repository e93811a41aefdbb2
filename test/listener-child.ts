import { handedSockets } from '../src/listen/activation.ts'
import { Listener } from '../src/listen/listener.ts'

// A process of its own that listens on whatever was handed down to it, and on the path that it is given, until it is
// told to end. It says where in lines of JSON.
const [path] = process.argv.slice(2)
const handed = handedSockets(process.env, process.pid)
const addresses = [...handed.map(({ fd }) => ({ fd })), ...(path === undefined ? [] : [{ path }])]
const names = handed.map(({ name }) => name ?? '')
try {
  const listeners = await Promise.all(
    addresses.map((address, i) =>
      Listener.open({ address }, (_, response, tag) => response.end(tag), { tag: names[i] ?? 'path' }),
    ),
  )
  process.stdout.write(`${JSON.stringify({ urls: listeners.map(({ url }) => url) })}\n`)
  process.once(
    'SIGTERM',
    () => void Promise.all(listeners.map(listener => listener.close(0))).then(() => process.exit()),
  )
} catch (error) {
  process.stdout.write(`${JSON.stringify({ refused: String(error) })}\n`)
}
