import { constants, existsSync } from 'node:fs'
import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { DEFAULT_FILE } from '../config/env.ts'
import { codeOf } from '../config/obstacle.ts'
import { packageFile } from '../package-file.ts'
import { type Command, type Io, print, UsageError } from './command.ts'
import type { Answers } from './init-questions.ts'

const TEMPLATE = packageFile('config/appliances.example.yaml')

export const init: Command = {
  name: 'init',
  summary:
    'Write a configuration file to start from: on a terminal by asking for an appliance, else a commented example. ' +
    'An existing one is never overwritten',
  example: 'veeam-auth-proxy init',
  options: [
    { flags: '--config <path>', description: 'file to write', fallback: DEFAULT_FILE },
    { flags: '--example', description: 'write the commented example on a terminal, too' },
  ],
  run: async ({ options, io }) => {
    const shown = String(options.config ?? DEFAULT_FILE)
    const file = resolve(io.cwd, shown)
    const flag = shown === DEFAULT_FILE ? '' : ` --config ${shown}`
    if (io.stdin.isTTY === true && io.stderr.isTTY === true && options.example !== true) {
      const { name, secret } = await writeAsked(file, shown, io)
      print(
        io.stdout,
        `Wrote ${shown}, and the password to ${basename(secret)}. Start the proxy: veeam-auth-proxy${flag}`,
      )
      print(io.stdout, `${name} is then at http://localhost:8080/${name}/`)
      return 0
    }
    await write(file, await readFile(TEMPLATE), shown)
    print(io.stdout, `Wrote ${shown}. Put your appliances into it, then run: veeam-auth-proxy check${flag}`)
    return 0
  },
}

async function writeAsked(file: string, shown: string, io: Io): Promise<{ name: string; secret: string }> {
  await checkPlace(file, shown)
  const [{ askForAppliance, secretFile }, { stringify }] = await Promise.all([
    import('./init-questions.ts'),
    import('./yaml.ts'),
  ])
  const answers = await askForAppliance(file, io)
  const secret = secretFile(file, answers.name)
  const appliances = { [answers.name]: entryOf(answers, secret) }
  await write(secret, answers.password, basename(secret))
  try {
    await write(file, HEAD + stringify({ appliances }, { lineWidth: 0 }), shown)
  } catch (error) {
    await rm(secret, { force: true })
    throw error
  }
  return { name: answers.name, secret }
}

const HEAD = `# Configuration of veeam-auth-proxy. What else can stand here: veeam-auth-proxy init --example --config example.yaml

`

function entryOf({ product, url, username, fingerprint }: Answers, secret: string): unknown {
  return {
    product,
    url,
    credentials: { username, password: { file: `./${basename(secret)}` } },
    ...(fingerprint === undefined ? {} : { tls: { fingerprint } }),
  }
}

/** What is in the way is better told before the questions than after them. */
async function checkPlace(file: string, shown: string): Promise<void> {
  if (existsSync(file)) throw new UsageError(refusal(shown, 'EEXIST'))
  await access(dirname(file), constants.W_OK).catch(error => {
    throw new UsageError(refusal(shown, codeOf(error)), { cause: error })
  })
}

/** Readable by its owner only, as a secret may be put into it. */
async function write(file: string, content: string | Buffer, shown: string): Promise<void> {
  try {
    await writeFile(file, content, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    throw new UsageError(refusal(shown, codeOf(error)), { cause: error })
  }
}

function refusal(file: string, code: string): string {
  if (code === 'EEXIST')
    return `${file} exists and is left as it is. Name another file with --config, or move this one.`
  if (code === 'ENOENT')
    return `The directory of ${file} does not exist. Create it first, or name another with --config.`
  return `${file} cannot be written (${code}). Name a file with --config in a directory that you may write to.`
}
