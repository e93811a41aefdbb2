import { homedir } from 'node:os'
import { dirname, resolve } from 'node:path'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { type Call, textOf } from './command.ts'

const Directory = Type.Object({ stateDirectory: Type.String() })

/**
 * Where the proxy of this configuration keeps its local authority. Of the file only `stateDirectory` is read: its secrets
 * are no business of whoever wants a certificate.
 */
export async function authorityDirectoryFor({ options, io }: Call): Promise<string> {
  const [{ readSettings }, { authorityDirectory }] = await Promise.all([
    import('../config/env.ts'),
    import('../listen/authority-directory.ts'),
  ])
  const settings = await readSettings(io.env)
  const named = textOf(options.config)
  const file = named ?? settings.config
  const source = resolve(io.cwd, file)
  const configured = settings.stateDirectory ?? (await stateDirectoryIn(file, source, { named: named !== undefined }))
  const stateDirectory = configured === undefined ? undefined : resolve(dirname(source), configured)
  return authorityDirectory({ stateDirectory, env: io.env, home: homedir(), platform: process.platform })
}

/** A file that nobody named may be missing or broken. */
async function stateDirectoryIn(
  file: string,
  source: string,
  { named }: { named: boolean },
): Promise<string | undefined> {
  const { readDocument } = await import('../config/document.ts')
  try {
    const { value } = await readDocument(file, source)
    return Check(Directory, value) ? value.stateDirectory : undefined
  } catch (error) {
    if (named) throw error
    return undefined
  }
}
