import { accessSync, constants, readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'

/** Debian keeps servers where an ordinary account's PATH does not look. */
const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** The path of a program, undefined when it is not installed. */
export function find(program: string): string | undefined {
  return FOLDERS.map(folder => join(folder, program)).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What a process does in the benchmark, which decides where it runs. */
export type Role = 'proxy' | 'upstream' | 'load'

const taskset = find('taskset')
export const cores = availableParallelism()

/** The proxy has the first core for itself, and what is around it has the others. */
const homes: Record<Role, string> =
  cores > 2 ? { proxy: '0', upstream: '1', load: `2-${cores - 1}` } : { proxy: '0', upstream: '1', load: '1' }

export function pinned(role: Role, command: readonly string[]): string[] {
  if (taskset === undefined || cores < 2) return [...command]
  return [taskset, '-c', homes[role], ...command]
}

/** The machine in a line. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`
  const pins = taskset === undefined || cores < 2 ? 'nothing pinned' : 'the proxy pinned to a core of its own'
  return `${system()}, Linux ${release()}, ${model}, ${cores} core${cores === 1 ? '' : 's'}, ${memory}, Node.js ${process.version}, ${pins}`
}

function system(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown system'
  } catch {
    return 'unknown system'
  }
}
