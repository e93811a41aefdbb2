import closeWithGrace from 'close-with-grace'
import type { Io } from './command.ts'

export interface Ending {
  close(): Promise<void>
  /** Milliseconds that `close` may take, asked for when it begins; then the process ends with exit code 1. */
  delay: number | (() => number)
  /** Told of a second signal, of `close` taking too long, and of errors that nobody caught. */
  logger: { error(...words: unknown[]): void }
}

/**
 * Keeps a command running until SIGTERM or SIGINT, and then ends it in order. The second signal cuts that short.
 * Signals are watched from the call on; after them the process ends by itself, with exit code 0.
 */
export async function untilStopped({ stop }: Io, { close, delay, logger }: Ending): Promise<number> {
  if (stop === undefined) {
    closeWithGrace({ delay: false, logger, skip: ['SIGHUP', 'SIGUSR2'] }, async ({ err }) => {
      if (err !== undefined) logger.error(err)
      const longest = typeof delay === 'number' ? delay : delay()
      const timer = setTimeout(() => {
        logger.error(`killed by timeout (${longest}ms)`)
        process.exit(1)
      }, longest)
      await close().finally(() => clearTimeout(timer))
    })
    return new Promise<never>(() => {})
  }
  await new Promise<void>(resolve => {
    if (stop.aborted) return resolve()
    stop.addEventListener('abort', () => resolve(), { once: true })
  })
  await close()
  return 0
}
