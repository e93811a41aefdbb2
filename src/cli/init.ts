import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { DEFAULT_FILE } from '../config/env.ts'
import { codeOf } from '../config/obstacle.ts'
import { packageFile } from '../package-file.ts'
import { type Command, print, UsageError } from './command.ts'

const TEMPLATE = packageFile('config/appliances.example.yaml')

export const init: Command = {
  name: 'init',
  summary: 'Write a commented configuration file to start from; an existing one is never overwritten',
  example: 'veeam-auth-proxy init',
  options: [{ flags: '--config <path>', description: 'file to write', fallback: DEFAULT_FILE }],
  run: async ({ options, io }) => {
    const { config = DEFAULT_FILE } = options
    const file = String(config)
    await write(resolve(io.cwd, file), file)
    const flag = file === DEFAULT_FILE ? '' : ` --config ${file}`
    print(io.stdout, `Wrote ${file}. Put your appliances into it, then run: veeam-auth-proxy check${flag}`)
    return 0
  },
}

/** Readable by its owner only, as a secret may be put into it. */
async function write(file: string, shown: string): Promise<void> {
  const template = await readFile(TEMPLATE)
  try {
    await writeFile(file, template, { flag: 'wx', mode: 0o600 })
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
