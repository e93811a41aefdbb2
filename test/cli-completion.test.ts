import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { commands } from '../src/cli/index.ts'
import { runCli } from './cli-rig.ts'
import { temporaryFolder } from './configuration-folder.ts'

const names = Object.keys(commands)

/** What a shell offers for the last of the words. */
type Offer = (words: readonly string[]) => Promise<string[]>

/** Each asks its shell with the script as `completion` prints it; zsh and fish are tested where they are installed. */
const shells: Readonly<Record<string, (script: string) => Offer>> = {
  bash: script => words =>
    output('bash', ['--norc', '-c', bashLines, 'bash', script, String(words.length - 1), ...words]),
  zsh: script => words => output('zsh', ['-f', '-c', zshLines, 'zsh', script, ...words]),
  fish: script => async words => {
    const lines = await output('fish', [
      '--no-config',
      '-c',
      `source $argv[1]; complete -C $argv[2]`,
      script,
      words.join(' '),
    ])
    return lines.map(line => line.split('\t')[0] ?? '')
  },
}

const bashLines = `
source "$1"; COMP_CWORD=$2; COMP_WORDS=("\${@:3}")
compopt() { echo FILES; }
_veeam_auth_proxy; printf '%s\\n' "\${COMPREPLY[@]}"`

// What the completion system would be asked to offer, without an interactive terminal.
const zshLines = `
compdef() { :; }
_describe() { print -l -- \${\${(P)2}%%:*}; }
_arguments() {
  local spec
  for spec in "$@"; do
    if [[ $spec == 1:* || $spec == "$words[CURRENT-1]="* ]]; then print -l -- \${(s. .)\${\${spec##*:}//[()]/}}
    elif [[ $spec == --* ]]; then print -- \${\${spec%%\\[*}%=}
    fi
  done
}
script=$1; shift; source $script; words=("$@"); CURRENT=$#words
_veeam_auth_proxy`

async function output(file: string, args: readonly string[]): Promise<string[]> {
  const { stdout, stderr } = await promisify(execFile)(file, args)
  assert.equal(stderr, '')
  return stdout.split('\n').filter(line => line !== '')
}

async function isInstalled(shell: string): Promise<boolean> {
  return promisify(execFile)(shell, ['--version']).then(
    () => true,
    () => false,
  )
}

for (const [shell, ask] of Object.entries(shells)) {
  const offers = async (t: TestContext): Promise<Offer | undefined> => {
    if (!(await isInstalled(shell))) {
      assert.notEqual(process.env.CI, 'true', `${shell} is missing where CI is to have it`)
      t.skip(`${shell} is not installed; to test with it: apt-get install ${shell}`)
      return undefined
    }
    const { exitCode, stdout, stderr } = await runCli(['completion', shell])
    assert.deepEqual([exitCode, stderr], [0, ''])
    return ask(temporaryFolder(t).write(`completion.${shell}`, stdout))
  }

  test(`${shell} completes commands, options and their values`, async t => {
    const offer = await offers(t)
    if (offer === undefined) return
    const first = await offer(['veeam-auth-proxy', ''])
    for (const name of names) assert.ok(first.includes(name), `${name} is not offered: ${first}`)
    const status = await offer(['veeam-auth-proxy', 'status', '--'])
    for (const option of ['--watch', '--json', '--url', '--quiet', '--help']) assert.ok(status.includes(option), option)
    const states = await offer(['veeam-auth-proxy', 'wait', '--for', ''])
    for (const state of ['live', 'ready']) assert.ok(states.includes(state), `${state} is not offered: ${states}`)
    const words = await offer(['veeam-auth-proxy', 'completion', ''])
    for (const known of Object.keys(shells)) assert.ok(words.includes(known), `${known} is not offered: ${words}`)
  })
}

test('bash completes files where an option takes one, and nothing where it takes something else', async t => {
  const { stdout } = await runCli(['completion', 'bash'])
  const offer = shells.bash?.(temporaryFolder(t).write('completion.bash', stdout))
  assert.deepEqual(await offer?.(['veeam-auth-proxy', 'check', '--config', 'app']), ['FILES'])
  assert.deepEqual(await offer?.(['veeam-auth-proxy', 'serve', '--port', '']), [])
})

test('completion refuses a shell it does not know, with exit code 2', async () => {
  const { exitCode, stdout, stderr } = await runCli(['completion', 'tcsh'])
  assert.deepEqual([exitCode, stdout], [2, ''])
  assert.equal(stderr, 'error: There is completion for bash, zsh, fish, and not for tcsh.\n')
})
