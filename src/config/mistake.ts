export interface Mistake {
  /** File, line and column, such as `appliances.yaml:12:5`; `environment` or the flag for what stands in no file. */
  place: string
  /** Such as `appliances.tenant.url`, or the name of a variable. */
  path: string
  message: string
  remedy: string
}

/** All mistakes of a configuration, one per line of `message`. Holds no value of a secret. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(lineOf).join('\n'))
    this.mistakes = mistakes
  }
}

function lineOf({ place, path, message, remedy }: Mistake): string {
  return [place, path, `${message}. ${remedy}${remedy.endsWith('?') ? '' : '.'}`].filter(part => part !== '').join(': ')
}
