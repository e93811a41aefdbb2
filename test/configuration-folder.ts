import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A folder of its own for one test; relative names are resolved in it. */
export interface Folder {
  path: string
  /** @returns the absolute path; mode 0600 unless told */
  write(name: string, text: string | Uint8Array, mode?: number): string
}

export function temporaryFolder(t: TestContext): Folder {
  const path = mkdtempSync(join(tmpdir(), 'veeam-auth-proxy-'))
  // It is the first to go, while others may still write to it.
  t.after(() => rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  return {
    path,
    write: (name, text, mode = 0o600) => {
      const file = join(path, name)
      writeFileSync(file, text, { mode })
      return file
    },
  }
}
