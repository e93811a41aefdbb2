import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type Context, eventually } from './rig.ts'

/** The built product as a process of its own, serving the configuration of a folder. */
export interface ProxyProcess {
  url: string
  /** Milliseconds from its start until it listened. */
  startedIn: number
  kill(signal: NodeJS.Signals): void
  /** Exit code, or the signal that killed it. */
  ended: Promise<number | string>
  /** The end of what it has printed. */
  lastWords(): string
  /** Resident memory in bytes; undefined where the system does not tell as Linux does. */
  memory(): number | undefined
}

const KEPT = 20_000

/** @param folder with `appliances.yaml` */
export async function startProcess(
  t: Context,
  main: string,
  folder: string,
  env: Record<string, string> = {},
): Promise<ProxyProcess> {
  const began = performance.now()
  const child = spawn(process.execPath, [main, 'serve', '--port', '0'], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let printed = ''
  let url: string | undefined
  const collect = (chunk: Buffer) => {
    printed = (printed + chunk.toString()).slice(-KEPT)
    url ??= /listening on (http:\/\/[^"]+)/.exec(printed)?.[1]
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  const ended = once(child, 'close').then(([code, signal]) => (typeof code === 'number' ? code : String(signal)))
  await eventually('it listens', () => url !== undefined || child.exitCode !== null, 30_000)
  if (url === undefined) throw new Error(`it ended without listening: ${printed}`)
  return {
    url,
    startedIn: performance.now() - began,
    kill: signal => void child.kill(signal),
    ended,
    lastWords: () => printed,
    memory: () => residentMemory(child.pid),
  }
}

function residentMemory(pid: number | undefined): number | undefined {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}
