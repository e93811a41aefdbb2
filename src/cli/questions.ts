import { Writable } from 'node:stream'
import { type CANCEL_SYMBOL, confirm, isCancel, password, select, text } from '@clack/prompts'
import { CommandError, type Io } from './command.ts'

/** Undefined where an answer will do, else what is wrong with it. */
export type Validate = (answer: string) => string | undefined

export interface Questions {
  text(message: string, options?: { suggestion?: string; validate?: Validate }): Promise<string>
  /** Nothing of what is typed is shown, not even how long it is. */
  hidden(message: string): Promise<string>
  choice(message: string, options: { label: string; value: string }[]): Promise<string>
  /** Anything but a yes is a no. */
  agreement(message: string): Promise<boolean>
}

/** Asks a person on a terminal. An interrupt, or the end of the input, throws a CommandError. */
export function questionsFor({ stdin, stderr }: Io): Questions {
  const ended = new AbortController()
  stdin.once('end', () => ended.abort())
  stdin.once('close', () => ended.abort())
  const terminal = { input: stdin, output: wideEnough(stderr), signal: ended.signal }
  return {
    async text(message, { suggestion = '', validate } = {}) {
      const check = (answer = '') => (answer.trim() === '' ? WANTED : validate?.(answer.trim()))
      return answered(await text({ message, initialValue: suggestion, validate: check, ...terminal })).trim()
    },
    async hidden(message) {
      const check = (answer = '') => (answer === '' ? WANTED : undefined)
      return answered(await password({ message, mask: '', validate: check, ...terminal }))
    },
    choice: async (message, options) => answered(await select({ message, options, ...terminal })),
    agreement: async message => answered(await confirm({ message, initialValue: false, ...terminal })),
  }
}

/** A serial console does not tell how wide it is, and would get each letter on a line of its own. */
function wideEnough(stream: Io['stderr']): Writable {
  if ('columns' in stream && Number(stream.columns) > 0) return stream
  const output = new Writable({ write: (chunk, _encoding, done) => stream.write(chunk, () => done()) })
  return Object.assign(output, { columns: 80 })
}

const WANTED = 'An answer is wanted'

function answered<T>(answer: T | typeof CANCEL_SYMBOL): T {
  if (isCancel(answer)) throw new CommandError('Nothing was written.')
  return answer
}
