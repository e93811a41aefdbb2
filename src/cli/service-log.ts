import { type Logger, pino } from 'pino'
import { createLog, debugSwitch } from '../log.ts'
import type { Redactor } from '../redactor.ts'
import type { Io } from './command.ts'

/** Bytes that may wait for a reader that has stopped reading; what comes beyond is dropped, and requests go on. */
const LONGEST_BACKLOG = 16_777_216
/** Bytes that are written together, and the milliseconds that a line waits for others. */
const BATCH = 65_536
const LONGEST_DELAY = 50
/** In UTF-8, of one unit of a text's length; in bytes. */
const LONGEST_CHARACTER = 3
/** How long the end of the process waits for a slow reader, in milliseconds. */
const LONGEST_FLUSH = 1_000

/** The log of a process that serves: for people on a terminal, JSON lines elsewhere. SIGUSR2 turns level debug on or off. */
export async function serviceLog(
  { stdout, env, onUserSignal }: Io,
  level: string,
  redactor: Redactor,
): Promise<Logger> {
  const log = await openLog({ stdout, env }, level, redactor)
  onUserSignal?.(debugSwitch(log))
  return log
}

async function openLog(
  { stdout, env }: Pick<Io, 'stdout' | 'env'>,
  level: string,
  redactor: Redactor,
): Promise<Logger> {
  if (stdout.isTTY !== true && 'fd' in stdout && typeof stdout.fd === 'number') {
    return besideTheWork(stdout.fd, level, redactor)
  }
  // Loaded where it is wanted: it takes a good part of the start.
  const { logTo } = await import('./log-to.ts')
  return logTo(stdout, level, redactor, env)
}

/** Resolves when everything that was logged has been read, or its reader is too slow. */
export function flushed(log: Logger): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, LONGEST_FLUSH)
    log.flush(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** Written while requests go on; what is left when the process ends is written then, whatever it ends of. */
function besideTheWork(fd: number, level: string, redactor: Redactor): Logger {
  // With a minLength of 0 its flush would wait for nothing.
  const destination = pino.destination({
    dest: fd,
    sync: false,
    minLength: 1,
    maxLength: LONGEST_BACKLOG,
    contentMode: 'buffer',
  })
  const log = createLog(level, redactor, inBatches(destination))
  let dropped = 0
  destination.on('drop', (lines: Buffer) => {
    dropped += lines.toString('latin1').split('\n').length - 1
  })
  destination.on('drain', () => {
    if (dropped === 0) return
    const lines = dropped
    dropped = 0
    log.warn({ lines }, 'log lines were dropped: nobody read them')
  })
  // A full disk must not end what is only told of there.
  destination.on('error', () => undefined)
  return log
}

/**
 * Hands lines over together: one write for each of them cost several times what the line itself does. They wait as bytes,
 * since text that is added to text stays in pieces until somebody wants the whole.
 */
function inBatches(destination: ReturnType<typeof pino.destination>) {
  const bytes = Buffer.allocUnsafeSlow(BATCH)
  let filled = 0
  let due: NodeJS.Timeout | undefined
  // Its type knows text alone, whatever its `contentMode`.
  const handOver = (lines: Buffer): void => Reflect.apply(destination.write, destination, [lines])
  const pass = () => {
    clearTimeout(due)
    due = undefined
    if (filled > 0) handOver(Buffer.from(bytes.subarray(0, filled)))
    filled = 0
  }
  process.once('exit', () => {
    if (filled === 0) return
    pass()
    destination.flushSync()
  })
  return {
    write(line: string) {
      if (filled + line.length * LONGEST_CHARACTER > BATCH) pass()
      if (line.length * LONGEST_CHARACTER > BATCH) return handOver(Buffer.from(line))
      filled += bytes.write(line, filled)
      due ??= setTimeout(pass, LONGEST_DELAY)
    },
    flush(done: () => void) {
      pass()
      destination.flush(done)
    },
    flushSync() {
      pass()
      destination.flushSync()
    },
  }
}
