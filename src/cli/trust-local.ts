import { homedir } from 'node:os'
import { dirname, resolve } from 'node:path'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { type Call, type Command, print, textOf } from './command.ts'
import { withProgress } from './progress.ts'

const Directory = Type.Object({ stateDirectory: Type.String() })

export const trustLocal: Command = {
  name: 'trust-local',
  summary: 'Print the local CA that signs for listeners with tls: auto, and how to make tools trust it',
  example: 'veeam-auth-proxy trust-local',
  options: [
    { flags: '--config <path>', description: 'configuration file that says stateDirectory (CONFIG; STATE_DIRECTORY)' },
  ],
  async run(call) {
    const [directory, { openAuthority, publishedAuthority }] = await Promise.all([
      directoryOf(call),
      import('../listen/local-authority.ts'),
    ])
    const made = async () => (await publishedAuthority(directory)) ?? (await openAuthority(directory))
    const { file, cert } = await withProgress(call.io, 'Making the local CA', made())
    const { stdout } = call.io
    print(stdout, `${file}\n\n${cert}\nIt can sign for localhost, what is below it, 127.0.0.0/8 and ::1 only.\n`)
    for (const [tool, line] of Object.entries(linesFor(file))) print(stdout, `${`${tool}:`.padEnd(17)} ${line}`)
    return 0
  },
}

function linesFor(file: string): Readonly<Record<string, string>> {
  const path = /^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`
  return {
    curl: `curl --cacert ${path} https://localhost:PORT/`,
    'Python requests': `REQUESTS_CA_BUNDLE=${path} python3 SCRIPT`,
    'Node.js': `NODE_EXTRA_CA_CERTS=${path} node SCRIPT`,
    Windows: `certutil -user -addstore Root "${file}"`,
    macOS: `security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ${path}`,
    Debian: `sudo cp ${path} /usr/local/share/ca-certificates/veeam-auth-proxy.crt && sudo update-ca-certificates`,
  }
}

/** As the proxy finds it. Of the file only `stateDirectory` is read: its secrets are none of this command's business. */
async function directoryOf({ options, io }: Call): Promise<string> {
  const [{ readSettings }, { authorityDirectory }] = await Promise.all([
    import('../config/env.ts'),
    import('../listen/authority-directory.ts'),
  ])
  const settings = readSettings(io.env)
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
