/** What keeps a value from being used, in the configuration or outside of it, and what removes it. */
export class Obstacle extends Error {
  override readonly name = 'Obstacle'
  readonly remedy: string

  constructor(message: string, remedy: string) {
    super(message)
    this.remedy = remedy
  }
}

/** The system's error code, such as ENOENT; never the message, which can hold more than may be shown. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code)
  return 'unknown error'
}
