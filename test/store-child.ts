import { once } from 'node:events'
import { StateDirectory } from '../src/state/store.ts'
import { box, key, marked } from './store-rig.ts'

// A process of its own on a state directory: it says what happens in lines of JSON, and begins at the first line it
// is given, so that many can begin at once.
const [directory = '', task] = process.argv.slice(2)

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

await once(process.stdin, 'data')
try {
  const state = await StateDirectory.open({ directory, key, warn: (message, details) => say({ message, ...details }) })
  const before = marked(await state.load(box))
  say({ pid: process.pid, before: before ?? 0 })
  for (let mark = (before ?? 0) + 1; task === 'save'; mark++) {
    await state.save(box, { mark, filler: `${mark} `.repeat(20_000) })
    say({ saved: mark })
  }
  if (task === 'leave') process.stdin.destroy()
} catch (error) {
  say({ refused: String(error) })
  process.exit(1)
}
