import { execFile, spawnSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** A program that speaks HTTP in a manner of its own. */
export interface Client {
  /** Program and arguments before the file; the first of them that answers the probe is taken. */
  programs: readonly (readonly [string, ...string[]])[]
  /** Arguments that succeed where everything it needs is there. */
  probe: readonly string[]
  /** Below test/clients. */
  file: string
  /** What Debian calls it. */
  debian: string
}

const python = [['python3'], ['/usr/bin/python3']] as const

export const clients = {
  curl: { programs: [['sh']], probe: ['-c', 'curl --version'], file: 'curl.sh', debian: 'curl' },
  wget: { programs: [['sh']], probe: ['-c', 'wget --version'], file: 'wget.sh', debian: 'wget' },
  'Python requests': {
    programs: python,
    probe: ['-c', 'import requests'],
    file: 'with_requests.py',
    debian: 'python3-requests',
  },
  'Python urllib': { programs: python, probe: ['--version'], file: 'with_urllib.py', debian: 'python3' },
  'Ruby net/http': {
    programs: [['ruby']],
    probe: ['-rnet/http', '-ropenssl', '-e', ''],
    file: 'net_http.rb',
    debian: 'ruby',
  },
  'PHP curl': {
    programs: [['php']],
    probe: ['-r', "exit(extension_loaded('curl') ? 0 : 1);"],
    file: 'curl.php',
    debian: 'php-cli php-curl',
  },
  // No optimising compiler for a program that ends in a second; the module launches a file of source.
  'Java HttpClient': {
    programs: [['java', '-XX:TieredStopAtLevel=1', '-Xshare:auto']],
    probe: ['--describe-module', 'jdk.compiler'],
    file: 'JavaClient.java',
    debian: 'default-jdk-headless',
  },
  'Node fetch': { programs: [[process.execPath]], probe: ['--version'], file: 'fetch.mjs', debian: 'nodejs' },
  'node:http': { programs: [[process.execPath]], probe: ['--version'], file: 'node_http.mjs', debian: 'nodejs' },
  'OpenSSL s_client': { programs: [['sh']], probe: ['-c', 'openssl version'], file: 's_client.sh', debian: 'openssl' },
} as const satisfies Record<string, Client>

const inherited = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => ['PATH', 'HOME', 'LANG', 'TMPDIR'].includes(name)),
)

/** Nothing else of this process' environment: no other proxy, no other authority. */
export async function run(program: readonly string[], args: readonly string[], env: Record<string, string> = {}) {
  const [name = '', ...before] = program
  const settings = { env: { ...inherited, ...env }, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 }
  return await promisify(execFile)(name, [...before, ...args], settings)
}

/**
 * The first of several commands that answers the probe. Where there is none the test is skipped with a line that tells
 * which package of Debian brings it, and in CI it fails.
 * @returns undefined when the test has been skipped
 */
export function installed(
  t: TestContext,
  { programs, probe, debian }: Pick<Client, 'programs' | 'probe' | 'debian'>,
): readonly string[] | undefined {
  const found = programs.find(([name]) => spawnSync(name, probe, { stdio: 'ignore' }).status === 0)
  if (found !== undefined) return found
  const words = `it is not installed: apt-get install ${debian}`
  if (process.env.CI === 'true') throw new Error(words)
  t.skip(words)
  return undefined
}

/** What a client has told of its run, by name. */
export async function runClient(
  program: readonly string[],
  { file }: Pick<Client, 'file'>,
  env: Record<string, string>,
): Promise<Map<string, string>> {
  const { stdout } = await run(program, [fileURLToPath(new URL(`clients/${file}`, import.meta.url))], env)
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
  )
}
