import { inspect } from 'node:util'
import { Failure } from '../errors.ts'
import { REDACTED } from '../redactor.ts'
import { Obstacle } from './obstacle.ts'
import { SecretReference } from './secret-reference.ts'
import { type Source, type SourceContext, sourceOf } from './secret-source.ts'

export { SecretReference }

/**
 * A long-lived secret of the configuration, held as the place it comes from. It is read anew at every call, so that a
 * rotated secret is picked up, and no way of printing this object shows its value.
 */
export class Secret {
  /** Where it comes from, in words that may be shown. */
  readonly source: string
  /** True when its text stands in the configuration. */
  readonly isPlain: boolean
  /** Absolute path when it comes from a file. */
  readonly file: string | undefined
  readonly #source: Source

  private constructor(source: Source, isPlain: boolean) {
    this.#source = source
    this.isPlain = isPlain
    this.source = source.name
    this.file = source.file
  }

  static from(reference: SecretReference, context: SourceContext): Secret {
    return new Secret(sourceOf(reference, context), typeof reference === 'string')
  }

  /** @throws Failure SECRET_UNREADABLE, which names the source and never the value */
  async reveal(): Promise<string> {
    try {
      return await this.#source.read()
    } catch (error) {
      if (!(error instanceof Obstacle)) throw error
      throw new Failure('SECRET_UNREADABLE', `${error.message}. ${error.remedy}.`)
    }
  }

  /** What keeps the secret from being read, undefined when nothing does. A command is not run to find out. */
  async obstacle(): Promise<Obstacle | undefined> {
    if (this.#source.costly) return undefined
    try {
      await this.#source.read()
      return undefined
    } catch (error) {
      if (error instanceof Obstacle) return error
      throw error
    }
  }

  toJSON(): string {
    return REDACTED
  }

  toString(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

/**
 * A secret that can be read now, as far as looking shows: a command is not run for it.
 * @throws Obstacle
 */
export async function readableSecret(reference: SecretReference, context: SourceContext): Promise<Secret> {
  const secret = Secret.from(reference, context)
  const obstacle = await secret.obstacle()
  if (obstacle) throw obstacle
  return secret
}
