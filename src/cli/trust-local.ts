import { authorityDirectoryFor } from './authority-directory-for.ts'
import { type Command, print } from './command.ts'
import { withProgress } from './progress.ts'

export const trustLocal: Command = {
  name: 'trust-local',
  summary: 'Print the local CA that signs for listeners with tls: auto, and how to make tools trust it',
  example: 'veeam-auth-proxy trust-local',
  options: [
    { flags: '--config <path>', description: 'configuration file that says stateDirectory (CONFIG; STATE_DIRECTORY)' },
  ],
  async run(call) {
    const [directory, { openAuthority, publishedAuthority }] = await Promise.all([
      authorityDirectoryFor(call),
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
