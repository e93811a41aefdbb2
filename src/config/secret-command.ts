import { execFile } from 'node:child_process'
import { basename } from 'node:path'
import { codeOf, Obstacle } from './obstacle.ts'
import type { SourceContext } from './secret-source.ts'

const TIME_LIMIT = 10_000
const LARGEST = 65_536

/**
 * What a program prints, without one line break at its end. No shell is in between. Neither its arguments nor what it
 * writes to stderr are ever shown: both can hold secrets.
 */
export async function runSecretCommand(command: readonly string[], context: SourceContext): Promise<string> {
  const [program = '', ...args] = command
  const timeout = context.timeLimit ?? TIME_LIMIT
  const name = basename(program)
  if (command.some(part => part.includes('\0')) || program === '') {
    throw new Obstacle('the command of a secret is empty or holds a NUL', 'Give a program and its arguments')
  }
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      {
        cwd: context.directory,
        env: context.env,
        timeout,
        killSignal: 'SIGKILL',
        maxBuffer: LARGEST,
        windowsHide: true,
        shell: false,
      },
      (error, stdout) => {
        const text = stdout.replace(/\r?\n$/, '')
        if (error) return reject(obstacleOf(error, name, timeout))
        if (text !== '') return resolve(text)
        reject(new Obstacle(`command ${name} printed nothing`, 'Make it print the secret to its standard output'))
      },
    )
    // A program that asks for a passphrase must fail at once and not wait for the time limit.
    child.stdin?.end()
  })
}

function obstacleOf(error: Error & { killed?: boolean }, name: string, timeout: number): Obstacle {
  const remedy = 'Run it by hand as the account of the proxy'
  const code = codeOf(error)
  if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
    return new Obstacle(`command ${name} printed more than 64 KiB`, 'Make it print the secret alone')
  }
  if (error.killed) return new Obstacle(`command ${name} took longer than ${timeout / 1000} s`, remedy)
  if (code === 'ENOENT') return new Obstacle(`command ${name} does not exist`, 'Correct the path of the program')
  if (/^\d+$/.test(code)) return new Obstacle(`command ${name} ended with status ${code}`, remedy)
  return new Obstacle(`command ${name} failed (${code === 'null' ? 'ended by a signal' : code})`, remedy)
}
