import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { CommandError, type Io, UsageError } from './command.ts'

/**
 * One line: from a terminal, where it is asked for and not shown while it is typed, or the first of what is piped in.
 * @throws UsageError when the input ends without one
 */
export async function askFor(question: string, { stdin, stderr }: Io): Promise<string> {
  const isTerminal = stdin.isTTY === true
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface(isTerminal ? { input: stdin, output: nowhere, terminal: true } : { input: stdin })
  if (isTerminal) stderr.write(question)
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', line => resolve(line.trim()))
      lines.once('SIGINT', () => reject(new CommandError('Nothing was sent.')))
      lines.once('close', () => reject(new UsageError('No code was given.')))
    })
  } finally {
    lines.close()
    if (isTerminal) stderr.write('\n')
  }
}
