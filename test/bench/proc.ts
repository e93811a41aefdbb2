import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

// CPU time and memory as the operating system counts them: /proc, so Linux only.

const TICK_MICROS = 1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** The numbers of /proc/PID/stat that follow the name, which may hold blanks and parentheses itself. */
function statOf(pid: number): number[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat
      .slice(stat.lastIndexOf(')') + 4)
      .split(' ')
      .map(Number)
  } catch {
    return undefined
  }
}

/** A process and everything it started that is still there. */
function treeOf(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const parent = Number.isInteger(pid) ? statOf(pid)?.[0] : undefined
    if (parent !== undefined) parents.set(pid, parent)
  }
  const tree = [root]
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child)
  return tree
}

/** Microseconds of CPU, user and system, that a process tree has used; children that have ended are in it. */
export function cpuMicros(root: number): number {
  const ticks = treeOf(root).flatMap(pid => statOf(pid)?.slice(10, 14) ?? [])
  return ticks.reduce((sum, value) => sum + value, 0) * TICK_MICROS
}

/** Microseconds that all cores together have been busy with anything at all. */
export function busyMicros(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)
    .flatMap(line => line.split(/ +/).map(Number))
  return (user + nice + system + irq + softirq + steal) * TICK_MICROS
}

/** Resident memory of a process tree in MB (1,048,576 bytes). Pages that two of its processes share count twice. */
export function residentMegabytes(root: number): number {
  return treeOf(root).reduce((sum, pid) => sum + resident(pid), 0)
}

function resident(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

/** Runs some work and tells the most memory that was seen meanwhile, in MB. */
export async function withPeak<T>(root: number, work: () => Promise<T>): Promise<{ value: T; peak: number }> {
  let peak = residentMegabytes(root)
  const look = () => {
    peak = Math.max(peak, residentMegabytes(root))
  }
  const timer = setInterval(look, 100)
  try {
    const value = await work()
    look()
    return { value, peak }
  } finally {
    clearInterval(timer)
  }
}
