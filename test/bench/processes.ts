import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { pinned, type Role } from './machine.ts'

export interface Started {
  pid: number
  /** `performance.now()` just before it was started. */
  since: number
}

/** How long a process may take to end when it is told to, in milliseconds. */
const GRACE = 5_000

/** Every process that the benchmark starts, each ended by its own id. */
export class Processes {
  readonly #folder: string
  readonly #running = new Map<number, ChildProcess>()
  readonly #names = new Map<number, string>()

  /** @param folder for what they print */
  constructor(folder: string) {
    this.#folder = folder
    // Not SIGKILL: nginx would leave its worker behind.
    process.once('exit', () => {
      for (const child of this.#running.values()) child.kill('SIGTERM')
    })
  }

  /** Starts a process that runs until it is told to end. */
  start(role: Role, name: string, command: readonly string[], env: Record<string, string> = {}): Started {
    const [program = '', ...args] = pinned(role, command)
    const output = openSync(this.#logOf(name), 'w')
    const since = performance.now()
    const child = spawn(program, args, { stdio: ['ignore', output, output], env: { ...environment(), ...env } })
    const { pid } = child
    if (pid === undefined) throw new Error(`${name} could not be started`)
    this.#running.set(pid, child)
    this.#names.set(pid, name)
    child.once('exit', () => this.#running.delete(pid))
    return { pid, since }
  }

  /**
   * Runs a process to its end.
   * @param bound milliseconds, after which it is killed
   * @returns what it printed
   */
  async run(role: Role, command: readonly string[], bound: number, env: Record<string, string> = {}): Promise<string> {
    const [program = '', ...args] = pinned(role, command)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...environment(), ...env } })
    const name = command.join(' ')
    const pid = child.pid ?? 0
    this.#running.set(pid, child)
    const timer = setTimeout(() => child.kill('SIGKILL'), bound)
    let printed = ''
    let complaints = ''
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      complaints += chunk.toString()
    })
    const [code, signal] = await once(child, 'close').finally(() => {
      clearTimeout(timer)
      this.#running.delete(pid)
    })
    if (code === 0) return printed
    const end = signal === 'SIGKILL' ? `did not end within ${bound} ms` : `ended with ${code ?? signal}`
    throw new Error(`${name} ${end}: ${(complaints || printed).slice(-400)}`)
  }

  isRunning(pid: number): boolean {
    return this.#running.has(pid)
  }

  /** The last of what a started process printed; nothing when it was not started here. */
  lastWords(pid: number): string {
    const name = this.#names.get(pid)
    return name === undefined ? '' : readFileSync(this.#logOf(name), 'utf8').trim().slice(-400)
  }

  /** Waits until what a started process has printed matches; all of it is returned. */
  async text(name: string, pattern: RegExp, bound: number): Promise<string> {
    const end = performance.now() + bound
    while (performance.now() < end) {
      const text = readFileSync(this.#logOf(name), 'utf8')
      if (pattern.test(text)) return text
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    throw new Error(`${name} printed no ${pattern} within ${bound} ms`)
  }

  async stop(pid: number): Promise<void> {
    const child = this.#running.get(pid)
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), GRACE)
    await ended
    clearTimeout(timer)
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running.keys()].map(pid => this.stop(pid)))
  }

  #logOf(name: string): string {
    return join(this.#folder, `${name}.log`)
  }
}

/** Nothing of the caller's environment may decide how a contestant runs. */
function environment(): Record<string, string> {
  const { PATH = '', HOME = '/' } = process.env
  return { PATH, HOME, NODE_ENV: 'production' }
}

/** A port of the loopback interface that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
