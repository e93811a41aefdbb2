import type { Io } from './command.ts'

/** The real process. */
export function processIo(): Io {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreBrokenPipe)
  return {
    // Touched only by commands that read it: it can be missing or closed.
    get stdin() {
      return process.stdin
    },
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    onHangup: callback => process.on('SIGHUP', callback),
    onUserSignal(callback) {
      // Windows has no such signal, and Node.js refuses to wait for it there.
      if (process.platform !== 'win32') process.on('SIGUSR2', callback)
    },
  }
}

/** Whoever read the output has had enough of it, as `| head` does; that ends nothing here. */
function ignoreBrokenPipe(error: Error): void {
  if (!('code' in error) || error.code !== 'EPIPE') throw error
}
