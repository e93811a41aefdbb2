import { type Call, CommandError, type Io } from './command.ts'
import { appliancesIn, statusText } from './status-text.ts'
import { untilStopped } from './until-stopped.ts'

/** Milliseconds between two looks. */
const PAUSE = 1_000

/** Shows the status until it is interrupted: redrawn in its place on a terminal, and elsewhere anew at each change. */
export async function watch(ask: () => Promise<unknown>, { options, io }: Call): Promise<number> {
  const { stdout } = io
  const asText = (answer: unknown) => (options.json === true ? JSON.stringify(answer) : `${statusText(answer, io)}\n`)
  const inPlace = stdout.isTTY === true && options.json !== true
  const show = inPlace ? redrawn(stdout, asText) : whenChanged(io, asText)
  let ended = false
  const stopped = untilStopped(io, {
    delay: PAUSE,
    logger: { error: word => io.stderr.write(`${String(word)}\n`) },
    async close() {
      ended = true
    },
  })
  return Promise.race([stopped, looking()])

  async function looking(): Promise<never> {
    while (!ended) {
      const answer = await ask().catch((error: unknown) => {
        // A proxy that is being started anew comes back.
        if (error instanceof CommandError) return error
        throw error
      })
      if (!ended) show(answer)
      await new Promise(resolve => setTimeout(resolve, PAUSE))
    }
    return new Promise<never>(() => {})
  }
}

type Show = (answer: unknown) => void

function redrawn(stdout: Io['stdout'], asText: (answer: unknown) => string): Show {
  let drawn = 0
  return answer => {
    const text = answer instanceof Error ? answer.message : asText(answer)
    const lines = text.trimEnd().split('\n')
    const shown = lines.slice(0, Math.max(1, (stdout.rows ?? 24) - 1))
    // Back to the first line that was drawn, and all below it cleared; a line that is too long does not wrap.
    const back = drawn > 0 ? `\u001b[${drawn}A\r\u001b[J` : ''
    stdout.write(`${back}\u001b[?7l${shown.join('\n')}\u001b[?7h\n`)
    drawn = shown.length
  }
}

function whenChanged({ stdout, stderr }: Io, asText: (answer: unknown) => string): Show {
  let last = ''
  return answer => {
    const now = answer instanceof Error ? answer.message : statesIn(answer)
    if (now === last) return
    last = now
    if (answer instanceof Error) stderr.write(`${answer.message}\n`)
    else stdout.write(`${asText(answer)}\n`)
  }
}

/** What counts as a change: the times of each answer are other ones. */
function statesIn(answer: unknown): string {
  return JSON.stringify(appliancesIn(answer).map(({ name, state, lastError }) => [name, state, lastError?.code]))
}
