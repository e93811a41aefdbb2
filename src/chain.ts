/** Something that can be in one chain at a time. */
export class Link {
  chain: object | undefined
  before: this | undefined
  after: this | undefined
}

/**
 * What is under way, in the order in which it began. A `Set` of what comes and goes this fast would keep all of it from
 * V8's young collections: every few dozen changes it moves to a new table, each table refers to the next one, and once
 * the first of them is old, whatever was in any of them is taken for alive. It was a seventh of forwarding, in pauses of
 * 7 ms instead of 1. For the same reason a link that has left refers to none.
 */
export class Chain<T extends Link> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get first(): T | undefined {
    return this.#first
  }

  get size(): number {
    return this.#size
  }

  /** Moves it to the end if it is in it already. */
  add(link: T): void {
    this.delete(link)
    const last = this.#last
    link.chain = this
    link.before = last
    if (last === undefined) this.#first = link
    else last.after = link
    this.#last = link
    this.#size += 1
  }

  /** Does nothing to a link that is not in it. */
  delete(link: T): void {
    if (link.chain !== this) return
    const { before, after } = link
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    link.chain = undefined
    link.before = undefined
    link.after = undefined
    this.#size -= 1
  }

  /** None may leave while somebody goes through them. */
  *[Symbol.iterator](): Iterator<T> {
    for (let link = this.#first; link !== undefined; link = link.after) yield link
  }
}
