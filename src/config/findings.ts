import { ConfigurationError, type Mistake } from './mistake.ts'
import { Obstacle } from './obstacle.ts'

export type Path = readonly (string | number)[]

/** How the parts of what is being checked are called in messages. */
export interface Where {
  /** Of a value or of its key; of the nearest part around it when it does not exist. */
  place(path: Path, part: 'key' | 'value'): string
  name(path: Path): string
}

/** Gathers all mistakes of a configuration, at most one for each part: the first is the most exact. */
export class Findings {
  readonly #where: Where
  readonly #mistakes: Mistake[]

  constructor(where: Where, known: readonly Mistake[] = []) {
    this.#where = where
    this.#mistakes = [...known]
  }

  add(path: Path, message: string, remedy: string, part: 'key' | 'value' = 'value'): void {
    const name = this.#where.name(path)
    if (this.#mistakes.some(mistake => mistake.path === name && name !== '')) return
    this.#mistakes.push({ place: this.#where.place(path, part), path: name, message, remedy })
  }

  /** How a part is called in mistakes that are found later. */
  whereIs(path: Path): { place: string; path: string } {
    return { place: this.#where.place(path, 'value'), path: this.#where.name(path) }
  }

  /** @throws ConfigurationError when there are any, in the order of their places */
  settle(): void {
    if (this.#mistakes.length === 0) return
    throw new ConfigurationError(this.#mistakes.toSorted((a, b) => inOrder.compare(a.place, b.place)))
  }
}

const inOrder = new Intl.Collator('en', { numeric: true })

/** What `make` returns; undefined when it is refused, which then is in the findings. */
export async function attempted<T>(findings: Findings, path: Path, make: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await make()
  } catch (error) {
    if (!(error instanceof Obstacle)) throw error
    findings.add(path, error.message, error.remedy)
    return undefined
  }
}
