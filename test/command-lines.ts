import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { wordsOf } from '../src/cli/completion-words.ts'
import { commands } from '../src/cli/index.ts'
import { repository } from './papers.ts'

const read = (file: string) => readFileSync(join(repository, file), 'utf8')
const manifest: { name: string; scripts: Record<string, string> } = JSON.parse(read('package.json'))

/** Of npm itself. */
const npmCommands = ['ci', 'install', 'pack', 'audit', 'publish', 'sbom']

type Check = (args: readonly string[]) => void | Promise<void>

/** The programs that the papers call, and what of their arguments must be there. */
const programs: Readonly<Record<string, Check>> = {
  npm: checkNpm,
  npx: args => (args[0] === 'tsx' ? checkSource(args.slice(1)) : checkCommandLine(args)),
  [manifest.name]: args => checkOwn(args),
  docker: checkDocker,
  kubectl([verb, flag, file = '', ...rest]) {
    assert.deepEqual([verb, flag, rest], ['apply', '-f', []])
    assert.ok(existsSync(join(repository, file)), `${file} is missing`)
  },
  systemctl(args) {
    const unit = args.at(-1)
    assert.deepEqual(args, ['enable', '--now', unit])
    assert.ok(existsSync(join(repository, `config/systemd/${unit}.service`)), `there is no unit ${unit}`)
  },
  openssl: args => assert.match(args.join(' '), /^rand -base64 \d+$/),
  'apt-get'([verb, ...packages]) {
    assert.equal(verb, 'install')
    const [, installed = ''] = /apt-get install (.*)/.exec(read('.ci/run')) ?? []
    for (const name of packages) assert.ok(installed.split(' ').includes(name), `.ci/run does without ${name}`)
  },
}

/**
 * Checks that each command of a line is one that could be typed: program, script, verb, options and files exist.
 * @throws AssertionError, also for a program that it knows nothing of
 */
export async function checkLine(line: string): Promise<void> {
  const text = line.replace(/(^|\s)#.*$/, '')
  for (const command of text.split(/&&|\||>/)) {
    const words = command.trim().split(/\s+/).filter(Boolean)
    if (words.length > 0) await checkCommandLine(words)
  }
}

async function checkCommandLine([program = '', ...args]: readonly string[]): Promise<void> {
  const check = Object.hasOwn(programs, program) ? programs[program] : undefined
  if (check === undefined) {
    assert.ok(existsSync(join(repository, program)), `${program}: nothing here checks how it is called`)
    return
  }
  await check(args)
}

async function checkNpm([verb = '', ...args]: readonly string[]): Promise<void> {
  if (npmCommands.includes(verb)) return
  const [script = '', ...rest] = verb === 'run' ? args : [verb, ...args]
  const command = manifest.scripts[script]
  assert.ok(command !== undefined, `package.json has no script ${script}`)
  const given = rest[0] === '--' ? rest.slice(1) : []
  assert.deepEqual(rest, given.length === 0 ? [] : ['--', ...given])
  const [, source = '', words = ''] = /tsx (\S+\.ts)(.*)$/.exec(command) ?? []
  if (source === 'src/main.ts') return checkOwn([...words.trim().split(' '), ...given])
  const options = join(dirname(source), 'options.ts')
  const usage = [source, options].map(file =>
    given.length > 0 && existsSync(join(repository, file)) ? read(file) : '',
  )
  for (const option of given.filter(word => word.startsWith('-'))) {
    assert.match(usage.join(''), new RegExp(`^  ${option}\\b`, 'm'), `npm run ${script} has no ${option}`)
  }
}

/** What tsx runs: tests, or the program itself. */
function checkSource([source = '', ...args]: readonly string[]): void | Promise<void> {
  if (source === 'src/main.ts') return checkOwn(args)
  assert.equal(source, '--test')
  for (const file of args) assert.ok(existsSync(join(repository, file)), `${file} is missing`)
}

/** Against the command table; a word in capitals stands for anything. */
async function checkOwn(args: readonly string[]): Promise<void> {
  const [first = 'serve'] = args
  if (['COMMAND', '--version'].includes(first)) return
  const name = first.startsWith('-') ? 'serve' : first
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  assert.ok(load !== undefined, `there is no command ${name}`)
  const { options } = wordsOf(await load())
  for (const word of args.filter(each => each.startsWith('-'))) {
    const option = word.replace(/=.*/, '')
    assert.ok(
      options.some(({ long, short }) => option === long || option === short),
      `${name} has no ${option}`,
    )
  }
}

function checkDocker([verb = '', ...args]: readonly string[]): void {
  if (verb === 'build') {
    assert.deepEqual(args, ['-t', manifest.name, '.'])
    assert.ok(existsSync(join(repository, 'Dockerfile')))
    return
  }
  if (verb === 'run') {
    assert.ok(args.includes(manifest.name))
    const [, mounted = ''] = /^\S+:(\/\S+):ro$/m.exec(args.join('\n')) ?? []
    assert.ok(
      read('Dockerfile').includes(`WORKDIR ${dirname(mounted)}`),
      `the image looks elsewhere than in ${mounted}`,
    )
    return
  }
  const [file = '', profile = ''] = [args[1], args[3]]
  assert.deepEqual([verb, ...args], ['compose', '-f', file, '--profile', profile, 'up'])
  const { services }: { services: Record<string, { profiles: string[] }> } = parse(read(file), { merge: true })
  const profiles = Object.values(services).flatMap(service => service.profiles)
  assert.ok(profiles.includes(profile), `${file} has no profile ${profile}`)
}
