import { connect } from 'node:net'
import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import { errnoOf } from './state-error.ts'

/** A process that is stopped accepts and stays silent; it holds nevertheless. In milliseconds. */
const PATIENCE = 2_000
const LONGEST = 4_096

const Answer = Type.Object({
  state: Type.Union([Type.Literal('starting'), Type.Literal('holding')]),
  pid: Type.Number(),
  host: Type.String(),
  since: Type.String(),
})
export type Answer = Static<typeof Answer>

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

function parsed(line: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return Check(Answer, value) ? value : undefined
  } catch {
    return undefined
  }
}
