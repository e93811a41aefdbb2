import { Command as CommanderCommand, CommanderError, Option } from 'commander'
import { type Command, type Io, print } from './command.ts'
import { explain } from './explain.ts'
import { optionsOf, quietly } from './quiet.ts'
import { version } from './version.ts'

const DEFAULT_COMMAND = 'serve'

/** The command table. Only the command that is called is loaded; all of them are for `--help`. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  init: async () => (await import('./init.ts')).init,
  check: async () => (await import('./check.ts')).check,
  status: async () => (await import('./status.ts')).status,
  code: async () => (await import('./code.ts')).code,
  'sign-in': async () => (await import('./sign-in.ts')).signIn,
  'sign-out': async () => (await import('./sign-out.ts')).signOut,
  renew: async () => (await import('./renew.ts')).renew,
  reload: async () => (await import('./reload.ts')).reload,
  wait: async () => (await import('./wait.ts')).wait,
  trust: async () => (await import('./trust.ts')).trust,
  'trust-local': async () => (await import('./trust-local.ts')).trustLocal,
  schema: async () => (await import('./schema.ts')).schema,
  demo: async () => (await import('./demo.ts')).demo,
  simulate: async () => (await import('./simulate.ts')).simulate,
  completion: async () => (await import('./completion.ts')).completion,
}

const EXIT_CODES = 'Exit codes: 0 good, 1 something failed, 2 the configuration or the call is wrong.'

/**
 * Runs the command line.
 * @param argv what follows the program's name
 * @returns the exit code
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const words = withCommand(argv)
  let exitCode = 0
  try {
    const program = await programFor(words, io, code => {
      exitCode = code
    })
    await program.parseAsync(words, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const explained = explain(error, io.env)
    print(io.stderr, explained.text)
    return explained.exitCode
  }
}

/** Without a command, the proxy itself is meant: whatever options there are belong to it. */
function withCommand(argv: readonly string[]): string[] {
  const [first] = argv
  const ownOptions = ['-h', '--help', '-V', '--version']
  const isCommand = first !== undefined && (!first.startsWith('-') || ownOptions.includes(first))
  return isCommand ? [...argv] : [DEFAULT_COMMAND, ...argv]
}

async function programFor(words: readonly string[], io: Io, done: (exitCode: number) => void) {
  const program = new CommanderCommand('veeam-auth-proxy')
    .description('Local authenticating reverse proxy for Veeam appliance REST APIs.')
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: text => io.stdout.write(text), writeErr: text => io.stderr.write(text) })
    .addHelpText(
      'after',
      `\nWithout a command: ${DEFAULT_COMMAND}.\n\nExample:\n  $ veeam-auth-proxy --config appliances.yaml\n\n${EXIT_CODES}`,
    )
  const loaded = await Promise.all(wanted(words).map(load => load()))
  for (const command of loaded) add(program, command, io, done)
  return program
}

function wanted([word = '']: readonly string[]): readonly (() => Promise<Command>)[] {
  if (word === '-V' || word === '--version') return []
  const called = Object.hasOwn(commands, word) ? commands[word] : undefined
  return called === undefined ? Object.values(commands) : [called]
}

function add(program: CommanderCommand, command: Command, io: Io, done: (exitCode: number) => void): void {
  const { name, args, summary, example } = command
  const sub = program
    .command(args === undefined ? name : `${name} ${args}`)
    .description(summary)
    .addHelpText('after', `\nExample:\n  $ ${example}\n\n${EXIT_CODES}`)
  for (const { flags, description, fallback, choices } of optionsOf(command)) {
    const option = new Option(flags, description).default(fallback)
    sub.addOption(choices === undefined ? option : option.choices(choices))
  }
  sub.action(async () => {
    const options = sub.opts()
    done(await command.run({ args: sub.args, options, io: options.quiet === true ? quietly(io, command) : io }))
  })
}
