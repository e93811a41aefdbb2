import { randomBytes, randomInt } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { field } from './answer.ts'
import type { Pair } from './tokens.ts'

/** How long, in milliseconds, a replaced cookie value stays good for the requests that were on their way with it. */
const grace = 3000

interface Replaced {
  value: string
  at: number
}

interface Guard {
  first: string
  second: string
  /** Earlier values of the second cookie. */
  replaced: Replaced[]
}

export interface AntiforgeryOptions {
  now: () => number
  /** In lower case. */
  fieldName: string | undefined
  /** Cookies are marked so over TLS only: a cookie jar rightly keeps such a one from plain HTTP. */
  secure: boolean
}

/**
 * Two cookies that a token pair cannot be used without. Their names are random: no vendor document tells the real ones,
 * so nobody may know them beforehand.
 */
export class Antiforgery {
  readonly names = [randomName(), randomName()] as const
  readonly #options: AntiforgeryOptions
  readonly #guards = new WeakMap<Pair, Guard>()

  constructor(options: AntiforgeryOptions) {
    this.#options = options
  }

  /** Binds fresh cookies to a pair; gives its `Set-Cookie` fields. */
  protect(pair: Pair): string[] {
    const guard = { first: randomValue(), second: randomValue(), replaced: [] }
    this.#guards.set(pair, guard)
    return [this.#setCookie(this.names[0], guard.first), this.#setCookie(this.names[1], guard.second)]
  }

  /** A renewed pair keeps the first cookie and gets a new second one, which alone is set. */
  carryOver(from: Pair, to: Pair): string[] {
    const old = this.#guards.get(from)
    if (old === undefined) return this.protect(to)
    const guard = { first: old.first, second: randomValue(), replaced: [] }
    this.#guards.set(to, guard)
    return [this.#setCookie(this.names[1], guard.second)]
  }

  /** Whether the request carries what its pair asks for. A pair without protection asks for nothing. */
  admits(request: IncomingMessage, pair: Pair): boolean {
    const guard = this.#guards.get(pair)
    if (guard === undefined) return true
    const cookies = readCookies(field(request, 'cookie') ?? '')
    const second = cookies.get(this.names[1])
    if (second === undefined || cookies.get(this.names[0]) !== guard.first) return false
    const { fieldName } = this.#options
    if (fieldName !== undefined && field(request, fieldName) !== second) return false
    return second === guard.second || guard.replaced.some(entry => entry.value === second && this.#isRecent(entry))
  }

  /** Replaces the second cookie, unless the request came with an older value than the newest already. */
  rotate(request: IncomingMessage, pair: Pair): string[] {
    const guard = this.#guards.get(pair)
    if (guard === undefined) return []
    if (readCookies(field(request, 'cookie') ?? '').get(this.names[1]) !== guard.second) return []
    guard.replaced = guard.replaced.filter(entry => this.#isRecent(entry))
    guard.replaced.push({ value: guard.second, at: this.#options.now() })
    guard.second = randomValue()
    return [this.#setCookie(this.names[1], guard.second)]
  }

  #isRecent({ at }: Replaced): boolean {
    return this.#options.now() - at < grace
  }

  #setCookie(name: string, value: string): string {
    return `${name}=${value}; path=/;${this.#options.secure ? ' secure;' : ''} HttpOnly`
  }
}

function randomName(): string {
  return `.${randomBytes(randomInt(4, 9)).toString('hex')}`
}

/** ASP.NET's data protection writes base64url; padding kept, for a value with `=` in it must survive too. */
function randomValue(): string {
  return `CfDJ8${randomBytes(64).toString('base64url')}==`
}

function readCookies(text: string): Map<string, string> {
  const cookies = new Map<string, string>()
  for (const part of text.split(';')) {
    const equals = part.indexOf('=')
    if (equals < 0) continue
    const name = part.slice(0, equals).trim()
    if (!cookies.has(name)) cookies.set(name, part.slice(equals + 1).trim())
  }
  return cookies
}
