import type { Logger } from 'pino'
import type { Account, EndedRequest } from './proxy/account.ts'
import { parameterNamesOf, pathOf } from './proxy/shown-path.ts'

/** So much of a path is written, in characters: whoever calls must not fill the log. */
const LONGEST_PATH = 1_024

/** One line for every request: who, where to, what came of it, and how long each part of it took. */
export class RequestLog {
  readonly #log: Logger
  readonly #lines: Logger

  constructor(log: Logger) {
    this.#log = log
    // Looking for secret members costs thirty times what the line does, and every member is named here.
    this.#lines = log.child({}, { level: 'trace', redact: [] })
  }

  write(account: Account, request: EndedRequest): void {
    const level = isRoutine(account) ? 'debug' : 'info'
    if (!this.#log.isLevelEnabled(level)) return
    const { id, caller, appliance, path, failure, fromUpstream, bytesUp, bytesDown, waited, firstByte } = account
    const { method, status, whole } = request
    this.#lines[level](
      {
        id,
        caller: caller?.name,
        appliance,
        method,
        path: shownPath(path),
        status,
        source: fromUpstream ? 'upstream' : 'proxy',
        failure,
        // Absent where there is nothing to say, which is nearly always.
        replayed: account.replayed || undefined,
        cache: account.cache,
        cutOff: whole ? undefined : true,
        durationMs: rounded(account.duration),
        waitedMs: rounded(waited),
        firstByteMs: firstByte === undefined ? undefined : rounded(firstByte),
        bytesUp,
        bytesDown,
      },
      'request',
    )
  }
}

/** Of the proxy's own pages, probes and scrapers ask for one every few seconds. */
function isRoutine({ appliance, path, failure }: Account): boolean {
  return appliance === undefined && failure === undefined && path.startsWith('/-/')
}

/** The path with the names of its query and none of their values: those can be anything, secrets too. */
export function shownPath(url: string): string {
  const names = parameterNamesOf(url)
  const path = names === '' ? pathOf(url) : `${pathOf(url)}?${names}`
  const short = path.length > LONGEST_PATH ? `${path.slice(0, LONGEST_PATH)}…` : path
  // What a terminal would obey is no character of a path.
  return short.replace(/[^\x21-\x7e…]/g, encodeURIComponent)
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}
