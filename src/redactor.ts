/** Shorter values would blank out ordinary text; what is that short must not reach a log line in the first place. */
const SHORTEST = 6
/** So many characters at the beginning of a form are looked up at each place of a text. */
const START = 4

/** In characters: longer secrets are tokens, which no `name:password` holds. */
const LONGEST_PASSWORD = 256

export const REDACTED = '[redacted]'

/**
 * The second net under every output: it knows the secrets now in use by value, in the forms they take on the wire and
 * in JSON, and blanks them out of any text. The first net is never to put one there. A text costs the same however many
 * secrets there are: every request writes a line, and a thousand appliances have thousands of them.
 */
export class Redactor {
  readonly #known = new Map<string, { forms: readonly string[]; owners: number }>()
  /** Forms by how they begin; as many times as there are secrets that have them. */
  readonly #starts = new Map<string, string[]>()
  /** How many forms have a beginning of this hash, which rules most places of a text out at once. */
  readonly #hashes = new Uint32Array(0x10000)

  /** Counted: what two have learned is known until both have forgotten it. */
  learn(secret: string): void {
    if (secret.length < SHORTEST) return
    const known = this.#known.get(secret)
    if (known !== undefined) {
      known.owners += 1
      return
    }
    const forms = formsOf(secret)
    this.#known.set(secret, { forms, owners: 1 })
    for (const form of forms) {
      const start = form.slice(0, START)
      const same = this.#starts.get(start)
      if (same === undefined) this.#starts.set(start, [form])
      else same.push(form)
      this.#count(start, 1)
    }
  }

  forget(secret: string): void {
    const known = this.#known.get(secret)
    if (known === undefined) return
    known.owners -= 1
    if (known.owners > 0) return
    this.#known.delete(secret)
    for (const form of known.forms) {
      const start = form.slice(0, START)
      const same = this.#starts.get(start) ?? []
      same.splice(same.indexOf(form), 1)
      if (same.length === 0) this.#starts.delete(start)
      this.#count(start, -1)
    }
  }

  /** Secrets of one owner, which come and go. */
  holding(): Holding {
    return new Holding(this)
  }

  /** How many secrets it knows. */
  get size(): number {
    return this.#known.size
  }

  /** The text without any known secret. Those that overlap go together. */
  clean(text: string): string {
    if (this.#known.size === 0) return text
    let cleaned = ''
    let kept = 0
    let begin = -1
    let end = 0
    let hash = 0
    for (let last = 0; last < text.length; last += 1) {
      hash = rolled(hash, text.charCodeAt(last))
      if (this.#hashes[hash] === 0 || last < START - 1) continue
      const at = last - START + 1
      const length = this.#longestAt(text, at)
      if (length === 0) continue
      if (begin === -1) begin = at
      else if (at > end) {
        cleaned += text.slice(kept, begin) + REDACTED
        kept = end
        begin = at
      }
      end = Math.max(end, at + length)
    }
    return begin === -1 ? text : cleaned + text.slice(kept, begin) + REDACTED + text.slice(end)
  }

  #longestAt(text: string, at: number): number {
    let longest = 0
    for (const form of this.#starts.get(text.slice(at, at + START)) ?? []) {
      if (form.length > longest && text.startsWith(form, at)) longest = form.length
    }
    return longest
  }

  #count(start: string, by: 1 | -1): void {
    let hash = 0
    for (let i = 0; i < start.length; i += 1) hash = rolled(hash, start.charCodeAt(i))
    this.#hashes[hash] = (this.#hashes[hash] ?? 0) + by
  }
}

/** What encoders make of a secret; most make the same of most secrets. */
function formsOf(secret: string): readonly string[] {
  const percent = encodeURIComponent(secret)
  const form = new URLSearchParams({ s: secret }).toString().slice(2)
  // As RFC 3986 reserves them, which is how passwords are sent.
  const strict = percent.replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  const encoded = [percent, form, strict, strict.replaceAll('%20', '+')]
  const json = escaped(secret)
  const base64 = Buffer.from(secret).toString('base64')
  return [
    ...new Set([
      secret,
      ...encoded,
      ...encoded.map(text => text.replace(/%[0-9A-F]{2}/g, octet => octet.toLowerCase())),
      json,
      // In a text of JSON that stands in another one.
      escaped(json),
      ...escapedFurther(json),
      base64,
      base64.replace(/=+$/, ''),
      Buffer.from(secret).toString('base64url'),
      ...(secret.length > LONGEST_PASSWORD ? [] : shifted(secret)),
    ]),
  ]
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/** Of a JSON string: as PHP, as Python, and as .NET writes it. */
function escapedFurther(json: string): string[] {
  const numbered = (text: string, what: RegExp) =>
    text.replace(what, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const python = numbered(json, /[^ -~]/g)
  const dotnet = numbered(json.replaceAll('\\"', '\\u0022'), /[^ -~]|[+&<>'`]/g)
  const capitals = dotnet.replace(/\\u[0-9a-f]{4}/g, code => `\\u${code.slice(2).toUpperCase()}`)
  return [python, python.replaceAll('/', '\\/'), dotnet, capitals]
}

/** In base64, where something comes before it, such as the name in `name:password`: without what it shares a digit with. */
function shifted(secret: string): string[] {
  return ['x', 'xx'].flatMap(before => {
    const bytes = Buffer.from(before + secret)
    const [first, last] = [Math.ceil((before.length * 8) / 6), Math.floor((bytes.length * 8) / 6)]
    return [bytes.toString('base64').slice(first, last), bytes.toString('base64url').slice(first, last)]
  })
}

/** Over the last four characters: what came before them has been shifted out. */
function rolled(hash: number, code: number): number {
  return ((hash << 4) ^ code) & 0xffff
}

/** The secrets that one owner holds now. */
export class Holding {
  readonly #redactor: Redactor
  #held: ReadonlySet<string> = new Set()

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  /** These and no others from now on. */
  hold(secrets: Iterable<string>): void {
    const next = new Set(secrets)
    for (const secret of next) if (!this.#held.has(secret)) this.#redactor.learn(secret)
    for (const secret of this.#held) if (!next.has(secret)) this.#redactor.forget(secret)
    this.#held = next
  }
}
