/** What keeps the state directory from being used, and what removes it. */
export class StateDirectoryError extends Error {
  override readonly name: string = 'StateDirectoryError'
  readonly remedy: string

  constructor(message: string, remedy: string, cause?: unknown) {
    super(message, { cause })
    this.remedy = remedy
  }
}

/** The process that works on a state directory, in its own words. */
export interface Holder {
  pid: number
  host: string
  /** ISO 8601. */
  since: string
}

export class StateDirectoryHeldError extends StateDirectoryError {
  override readonly name = 'StateDirectoryHeldError'
  /** Undefined when it did not say, as a process that is stopped or of another account. */
  readonly holder: Holder | undefined

  constructor(directory: string, holder: Holder | undefined) {
    const who =
      holder === undefined
        ? 'another process, which does not say who it is'
        : `process ${holder.pid} on ${holder.host} since ${holder.since}`
    super(`the state directory ${directory} is held by ${who}`, 'End that process, or give each its own directory')
    this.holder = holder
  }
}

/** The system's error code, such as ENOSPC. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}
