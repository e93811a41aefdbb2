import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { StateDirectory, type StateDirectoryParts } from '../src/state/store.ts'
import { builtProgram } from './built.ts'
import type { Context } from './rig.ts'

export const key = 'a key that nobody would guess'
export const box = { name: 'box', origin: 'https://box.example:4443' }

export async function temporaryFolder(t: Context): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'state-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A state directory closed with the test. `warnings` collects what it warns of. */
export async function openState(t: Context, directory: string, parts: Partial<StateDirectoryParts> = {}) {
  const warnings: { message: string; details: object }[] = []
  const warn = (message: string, details: object) => warnings.push({ message, details })
  const state = await StateDirectory.open({ directory, key, warn, ...parts })
  t.after(() => state.close())
  return { state, warnings }
}

/** The mark of a value that a child saved; undefined for no value. Throws for one that is not whole. */
export function marked(value: unknown): number | undefined {
  if (value === undefined) return undefined
  const { mark, filler } = Object(value)
  if (typeof mark === 'number' && filler === `${mark} `.repeat(20_000)) return mark
  throw new Error('the value is not whole')
}

/** A process of its own, see store-child.ts; killed with the test. It waits for `begin`. */
export function startChild(t: Context, directory: string, task: 'save' | 'hold' | 'leave') {
  const script = builtProgram('test/store-child.ts')
  const child = spawn(process.execPath, [script, directory, task], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  const said: Map<string, unknown>[] = []
  const lines = createInterface(child.stdout)
  lines.on('line', line => {
    const value: unknown = JSON.parse(line)
    said.push(new Map(Object.entries(Object(value))))
  })
  return {
    pid: child.pid,
    said,
    ended,
    begin: () => child.stdin.write('\n'),
    /** The first line with this member, once it is said. */
    async says(member: string): Promise<unknown> {
      for (;;) {
        const found = said.find(line => line.has(member))
        if (found !== undefined) return found.get(member)
        await once(lines, 'line', { signal: AbortSignal.timeout(60_000) })
      }
    },
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    async murder(): Promise<void> {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Leaves the lock of a process that is no more: a socket that nobody listens on. */
export async function leaveDeadLock(directory: string, name: string): Promise<void> {
  const server = createServer().listen(join(directory, 'bound'))
  await once(server, 'listening')
  await rename(join(directory, 'bound'), join(directory, name))
  server.close()
  await once(server, 'close')
}
