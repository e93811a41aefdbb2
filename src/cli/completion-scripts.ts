import type { CommandWords, OptionWords } from './completion-words.ts'

type Script = (commands: readonly CommandWords[]) => string

/** A script for each shell, made from the table of commands: nothing is run to complete a word. */
export const scripts: Readonly<Record<'bash' | 'zsh' | 'fish', Script>> = { bash, zsh, fish }

const PROGRAM = 'veeam-auth-proxy'

function bash(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ name, options, choices }) => {
    const words = [...choices, ...options.flatMap(({ long, short }) => (short === undefined ? [long] : [long, short]))]
    const files = options.filter(({ value }) => value === 'file').map(({ long }) => long)
    const values = options.filter(option => option.choices.length > 0)
    const others = options.filter(option => option.value === 'other' && option.choices.length === 0)
    return [
      `    ${name})`,
      `      words='${words.join(' ')}'`,
      '      case $previous in',
      ...(files.length === 0 ? [] : [`        ${files.join('|')}) compopt -o default; COMPREPLY=(); return ;;`]),
      ...values.map(({ long, choices: words }) => `        ${long}) words='${words.join(' ')}' ;;`),
      ...(others.length === 0 ? [] : [`        ${others.map(({ long }) => long).join('|')}) return ;;`]),
      '      esac',
      '      ;;',
    ].join('\n')
  })
  return `# bash completion for ${PROGRAM}
_veeam_auth_proxy() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} words=''
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$word"))
    return
  fi
  case $command in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _veeam_auth_proxy ${PROGRAM}`
}

function zsh(commands: readonly CommandWords[]): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(':', '\\:')}`)}`)
  const cases = commands.map(({ name, options, choices }) => {
    const argument = choices.length === 0 ? [] : [quoted(`1:word:(${choices.join(' ')})`)]
    const specs = [...options.map(option => quoted(zshSpec(option))), ...argument]
    return `    ${name}) _arguments ${specs.join(' ')} ;;`
  })
  return `#compdef ${PROGRAM}
_veeam_auth_proxy() {
  local -a commands=(
${described.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT -= 1))
  case $command in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _veeam_auth_proxy ]]; then
  _veeam_auth_proxy "$@"
else
  compdef _veeam_auth_proxy ${PROGRAM}
fi`
}

function zshSpec({ long, description, value, choices }: OptionWords): string {
  const text = description.replaceAll(/[[\]\\:]/g, '\\$&')
  if (value === 'none') return `${long}[${text}]`
  const action = choices.length > 0 ? `(${choices.join(' ')})` : value === 'file' ? '_files' : ''
  return `${long}=[${text}]:value:${action}`
}

function fish(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ name, summary, options, choices }) => [
    `complete -c ${PROGRAM} -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
    ...(choices.length === 0 ? [] : [`${within(name)} -a ${quoted(choices.join(' '))}`]),
    ...options.map(({ long, short, description, value, choices: values }) => {
      const parts = [within(name), `-l ${long.slice(2)}`, ...(short === undefined ? [] : [`-s ${short.slice(1)}`])]
      if (value === 'file') parts.push('-r -F')
      if (value === 'other') parts.push(values.length === 0 ? '-x' : `-x -a ${quoted(values.join(' '))}`)
      return [...parts, `-d ${quoted(description)}`].join(' ')
    }),
  ])
  return [`# fish completion for ${PROGRAM}`, `complete -c ${PROGRAM} -f`, ...lines].join('\n')
}

function within(command: string): string {
  return `complete -c ${PROGRAM} -n '__fish_seen_subcommand_from ${command}'`
}

/** In single quotes as these shells take them; fish reads \\ in them as well, which no description ends with. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
