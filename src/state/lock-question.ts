import { connect } from 'node:net'
import { errnoOf, type Holder } from './state-error.ts'

/** A process that is stopped accepts and stays silent; it holds nevertheless. In milliseconds. */
const PATIENCE = 2_000
const LONGEST = 4_096

export interface Answer extends Holder {
  state: 'starting' | 'holding'
}

/** Who listens at the socket; undefined when nobody does and nobody will again. */
export function ask(path: string): Promise<{ answer: Answer | undefined } | undefined> {
  return new Promise(resolve => {
    const socket = connect(path)
    let line = ''
    let connected = false
    const done = (errno?: string) => {
      socket.destroy()
      const dead = !connected && (errno === 'ECONNREFUSED' || errno === 'ENOENT')
      resolve(dead ? undefined : { answer: parsed(line) })
    }
    socket.setEncoding('utf8')
    socket.setTimeout(PATIENCE, () => done())
    socket.on('connect', () => {
      connected = true
    })
    socket.on('data', (text: string) => {
      line += text
      if (line.length > LONGEST) done()
    })
    socket.on('end', () => done())
    socket.on('error', error => done(errnoOf(error)))
  })
}

/** By hand and not by a schema: this is read before anything else at every start, and has four members. */
function parsed(line: string): Answer | undefined {
  try {
    const members = new Map<string, unknown>(Object.entries(JSON.parse(line)))
    const [state, pid, host, since] = ['state', 'pid', 'host', 'since'].map(name => members.get(name))
    if (state !== 'starting' && state !== 'holding') return undefined
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof since !== 'string') return undefined
    return { state, pid, host, since }
  } catch {
    return undefined
  }
}
