import { Writable } from 'node:stream'
import confirm from '@inquirer/confirm'
import input from '@inquirer/input'
import password from '@inquirer/password'
import select from '@inquirer/select'
import { CommandError, type Io } from './command.ts'

/** Undefined where an answer will do, else what is wrong with it. */
export type Validate = (answer: string) => string | undefined

export interface Questions {
  text(question: string, options?: { suggestion?: string; validate?: Validate }): Promise<string>
  /** Nothing of what is typed is shown, not even how long it is. */
  hidden(question: string): Promise<string>
  choice(question: string, answers: readonly { name: string; value: string }[]): Promise<string>
  /** Anything but a yes is a no. */
  agreement(question: string): Promise<boolean>
}

/** Asks a person on a terminal. An interrupt, or the end of the input, throws a CommandError. */
export function questionsFor({ stdin, stderr }: Io): Questions {
  const ended = new AbortController()
  stdin.once('end', () => ended.abort())
  stdin.once('close', () => ended.abort())
  const context = { input: stdin, output: kept(stderr), signal: ended.signal }
  return {
    text: (message, { suggestion, validate } = {}) =>
      answered(
        input(
          {
            message,
            ...(suggestion === undefined ? {} : { default: suggestion }),
            validate: answer => (answer.trim() === '' ? 'An answer is wanted' : (validate?.(answer.trim()) ?? true)),
          },
          context,
        ),
      ).then(answer => answer.trim()),
    hidden: message =>
      answered(
        password({ message, toggleMask: false, validate: answer => answer !== '' || 'An answer is wanted' }, context),
      ),
    choice: (message, choices) => answered(select({ message, choices }, context)),
    agreement: message => answered(confirm({ message, default: false }, context)),
  }
}

/** Each question ends its output when it is answered. */
function kept(stream: Io['stderr']): Writable {
  const output = new Writable({ write: (chunk, _encoding, done) => stream.write(chunk, done) })
  output.end = () => output
  return 'columns' in stream ? Object.assign(output, { columns: stream.columns }) : output
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    const isLeaving = cause instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(cause.name)
    throw isLeaving ? new CommandError('Nothing was written.', { cause }) : cause
  }
}
