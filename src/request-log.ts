import type { Logger } from 'pino'
import { lineWriter } from './log.ts'
import type { Account, EndedRequest } from './proxy/account.ts'
import { parameterNamesOf, pathOf } from './proxy/shown-path.ts'
import type { Redactor } from './redactor.ts'

/** So much of a path is written, in characters: whoever calls must not fill the log. */
const LONGEST_PATH = 1_024

/**
 * One line for every request: who, where to, what came of it, and how long each part of it took. Put together here and
 * not by pino, which goes through any object there could be: that was 5 % of forwarding.
 */
export class RequestLog {
  readonly #log: Logger
  readonly #redactor: Redactor
  readonly #write: (line: string) => void

  /** @param log of `createLog` */
  constructor(log: Logger, redactor: Redactor) {
    this.#log = log
    this.#redactor = redactor
    this.#write = lineWriter(log)
  }

  write(account: Account, request: EndedRequest): void {
    const level = isRoutine(account) ? 'debug' : 'info'
    if (!this.#log.isLevelEnabled(level)) return
    this.#write(this.#lineOf(account, request, this.#log.levels.values[level] ?? 0))
  }

  /** As pino would write it. What is absent has nothing to say, which is nearly always. */
  #lineOf(account: Account, { method, status, whole }: EndedRequest, level: number): string {
    const { caller, appliance, failure, replayed, cache, firstByte } = account
    // All that can be any text. To look for secrets in the rest as well cost 3 % of forwarding.
    const id = this.#redactor.clean(account.id)
    const path = JSON.stringify(shownPath(account.path, text => this.#redactor.clean(text)))
    let line = `{"level":${level},"time":${Date.now()},"id":"${id}"`
    if (caller !== undefined) line += `,"caller":${JSON.stringify(this.#redactor.clean(caller.name))}`
    if (appliance !== undefined) line += `,"appliance":"${appliance}"`
    line += `,"method":"${method}","path":${path},"status":${status}`
    line += `,"source":"${account.fromUpstream ? 'upstream' : 'proxy'}"`
    if (failure !== undefined) line += `,"failure":"${failure}"`
    if (replayed) line += ',"replayed":true'
    if (cache !== undefined) line += `,"cache":"${cache}"`
    if (!whole) line += ',"cutOff":true'
    line += `,"durationMs":${rounded(account.duration)},"waitedMs":${rounded(account.waited)}`
    if (firstByte !== undefined) line += `,"firstByteMs":${rounded(firstByte)}`
    return `${line},"bytesUp":${account.bytesUp},"bytesDown":${account.bytesDown},"msg":"request"}\n`
  }
}

/** Of the proxy's own pages, probes and scrapers ask for one every few seconds. */
function isRoutine({ appliance, path, failure }: Account): boolean {
  return appliance === undefined && failure === undefined && path.startsWith('/-/')
}

/**
 * The path with the names of its query and none of their values: those can be anything, secrets too.
 * @param clean takes known secrets out, before anything is cut: nobody knows one of which a part is missing
 */
export function shownPath(url: string, clean = (text: string) => text): string {
  const names = parameterNamesOf(url)
  const path = names === '' ? pathOf(url) : `${pathOf(url)}?${names}`
  // What a terminal would obey is no character of a path.
  const shown = clean(path.replace(/[^\x21-\x7e]/g, encodeURIComponent))
  return shown.length > LONGEST_PATH ? `${shown.slice(0, LONGEST_PATH)}…` : shown
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}
