import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Io } from '../src/cli/command.ts'
import { run } from '../src/cli/index.ts'
import { defaultPassword, type Simulator } from '../src/simulator/index.ts'
import { builtMain } from './built.ts'
import { type Context, eventually } from './rig.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

export interface Ran {
  exitCode: number
  stdout: string
  stderr: string
}

export interface Given {
  env?: Record<string, string>
  cwd?: string
  /** What is piped in, or typed when `isTerminal`. */
  input?: string
  isTerminal?: boolean
  /** Both outputs are a terminal of this many rows. */
  screen?: number
}

/** Runs the command line in this process, in an environment that holds nothing but what is given. */
export async function runCli(argv: readonly string[], given: Given = {}): Promise<Ran> {
  const stdout = new Memory(given.screen)
  const stderr = new Memory(given.screen)
  const stdin = Object.assign(new PassThrough(), { isTTY: given.isTerminal ?? false })
  stdin.end(given.input)
  const io: Io = { stdin, stdout, stderr, env: given.env ?? {}, cwd: given.cwd ?? '/' }
  const exitCode = await run(argv, io)
  return { exitCode, stdout: stdout.text, stderr: stderr.text }
}

/** A command that runs in this process until the test ends; `text()` is what it has printed so far. */
export function startCli(t: Context, argv: readonly string[], given: Given = {}) {
  const stopping = new AbortController()
  const stdout = new Memory(given.screen)
  const stderr = new Memory(given.screen)
  const { env = {}, cwd = '/' } = given
  const ended = run(argv, { stdin: new PassThrough(), stdout, stderr, env, cwd, stop: stopping.signal })
  t.after(async () => {
    stopping.abort()
    await ended
  })
  return { text: () => stdout.text + stderr.text, stop: () => stopping.abort(), ended }
}

export interface Spawned {
  child: ChildProcess
  /** Everything printed so far on both streams. */
  text(): string
  /** Waits until what is printed matches, and returns the match. */
  match(pattern: RegExp): Promise<RegExpExecArray>
  /** Exit code, or the signal that killed it. */
  ended: Promise<number | string>
}

/** A process of its own, as a person starts it; killed with the test at the latest. */
export function spawnCli(t: Context, argv: readonly string[], given: Pick<Given, 'env' | 'cwd'> = {}): Spawned {
  const child = spawn(process.execPath, [builtMain(), ...argv], {
    cwd: given.cwd ?? root,
    env: { PATH: process.env.PATH, ...given.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let printed = ''
  const collect = (chunk: Buffer) => {
    printed += chunk.toString()
  }
  child.stdout?.on('data', collect)
  child.stderr?.on('data', collect)
  const ended = once(child, 'close').then(([code, signal]) => (typeof code === 'number' ? code : String(signal)))
  return {
    child,
    ended,
    text: () => printed,
    async match(pattern) {
      await eventually(`${pattern} in ${printed}`, () => pattern.test(printed) || child.exitCode !== null, 30_000)
      const found = pattern.exec(printed)
      if (found === null) throw new Error(`the process ended without ${pattern}: ${printed}`)
      return found
    },
  }
}

/** One entry of a configuration file for a simulator, trusted by its fingerprint; `changes` replace whole lines. */
export function entryOf(
  name: string,
  product: string,
  simulator: Pick<Simulator, 'url' | 'fingerprint'>,
  changes: { password?: string; tls?: string; totp?: string; url?: string } = {},
): string {
  const { password = defaultPassword, tls = `{ fingerprint: "${simulator.fingerprint}" }`, totp } = changes
  return `  ${name}:
    product: ${product}
    url: ${changes.url ?? simulator.url}
    credentials:
      username: Administrator
      password: ${JSON.stringify(password)}${totp === undefined ? '' : `\n      totp: ${totp}`}
${tls === '' ? '' : `    tls: ${tls}\n`}`
}

/** Keeps what is written to it. */
export class Memory extends Writable {
  text = ''
  readonly isTTY: boolean
  readonly rows: number

  constructor(rows?: number) {
    super()
    this.isTTY = rows !== undefined
    this.rows = rows ?? 24
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}
