import type { ServerResponse } from 'node:http'
import { cellsOf, keysOf } from './document.ts'
import type { Row } from './row.ts'

/** Milliseconds between two looks at what has changed; longer where a look takes long, so that requests come first. */
const PAUSE = 1_000
const LONGEST_SHARE = 50
/** A page that hears nothing for longer takes its connection for dead. */
const HEARTBEAT = 10_000
/** How long a reader may leave what it was sent unread before it is dropped. It comes back by itself. */
const PATIENCE = 15_000
const LEAST_LOOKS = 3
/** Pages that may watch at the same time. */
const MOST = 64

export interface Watcher {
  response: ServerResponse
  /** Whether its page shows what can be done. */
  mayAct: boolean
  /** Whether its page shows an appliance. */
  maySee: (appliance: string) => boolean
}

interface Watching extends Watcher {
  /** What it was sent last, by appliance and part of its row. */
  seen: Map<string, Parts>
  heardAt: number
  blockedSince: number | undefined
  /** Looks since then. */
  blockedLooks: number
}

/** The markup of each cell and, as JSON, what the row is sorted by. */
type Parts = Readonly<Record<string, string>>

/**
 * Every page that is open, kept up to date by server-sent events. Each look is compared with what a page was sent last:
 * one that reads slowly misses the steps between and never the end. Own, because the plugins for such events wait for
 * slow readers without an end, and send what has long been overtaken.
 */
export class Watchers {
  readonly #all = new Set<Watching>()
  #rows: () => readonly Row[] = () => []
  #timer: NodeJS.Timeout | undefined

  /** @param rows as they are now; asked for only while a page is open */
  show(rows: () => readonly Row[]): void {
    this.#rows = rows
  }

  get isFull(): boolean {
    return this.#all.size >= MOST
  }

  /** Answers with a stream of events, beginning with everything there is. */
  add(watcher: Watcher): void {
    const { response } = watcher
    const watching: Watching = { ...watcher, seen: new Map(), heardAt: 0, blockedSince: undefined, blockedLooks: 0 }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.once('close', () => this.#all.delete(watching))
    this.#all.add(watching)
    tell(watching, this.#parts())
    this.#timer ??= setTimeout(() => this.#look(), PAUSE).unref()
  }

  /** Ends every stream: a page that stays open must hold nothing up. */
  end(): void {
    for (const { response } of this.#all) response.end()
    this.#all.clear()
  }

  #look(): void {
    this.#timer = undefined
    if (this.#all.size === 0) return
    const began = performance.now()
    const parts = this.#parts()
    for (const watching of this.#all) tell(watching, parts)
    const pause = Math.max(PAUSE, (performance.now() - began) * LONGEST_SHARE)
    this.#timer = setTimeout(() => this.#look(), pause).unref()
  }

  #parts(): ReadonlyMap<string, Parts> {
    return new Map(this.#rows().map(row => [row.name, { ...cellsOf(row), keys: JSON.stringify(keysOf(row)) }]))
  }
}

/** Sends what has changed since the last time, or a sign of life when one is due. */
function tell(watching: Watching, all: ReadonlyMap<string, Parts>): void {
  const { response, blockedSince, heardAt, seen, maySee } = watching
  if (blockedSince !== undefined) {
    watching.blockedLooks += 1
    // After a standstill of the whole process a reader must have had its turn before it is judged.
    if (watching.blockedLooks >= LEAST_LOOKS && Date.now() - blockedSince > PATIENCE) response.destroy()
    return
  }
  const now = new Map([...all].filter(([name]) => maySee(name)))
  const rows: Record<string, Parts> = {}
  for (const [name, parts] of now) {
    const news = changes(seen.get(name), parts, watching)
    if (Object.keys(news).length > 0) rows[name] = news
  }
  const isSame = seen.size === now.size && [...now.keys()].every(name => seen.has(name))
  watching.seen = now
  if (isSame && Object.keys(rows).length === 0 && Date.now() - heardAt < HEARTBEAT) return
  watching.heardAt = Date.now()
  const names = isSame ? {} : { names: [...now.keys()] }
  if (response.write(`data: ${JSON.stringify({ now: Date.now(), rows, ...names })}\n\n`)) return
  watching.blockedSince = Date.now()
  watching.blockedLooks = 0
  response.once('drain', () => {
    watching.blockedSince = undefined
  })
}

function changes(before: Parts | undefined, after: Parts, { mayAct }: Watcher): Parts {
  const changed = Object.entries(after).filter(
    ([part, markup]) => before?.[part] !== markup && (mayAct || part !== 'actions'),
  )
  return Object.fromEntries(changed)
}
