import { type Command, print, UsageError } from './command.ts'

const shells = ['bash', 'zsh', 'fish'] as const

export const completion: Command = {
  name: 'completion',
  args: '<shell>',
  summary: 'Print what makes bash, zsh or fish complete commands and options',
  example: 'veeam-auth-proxy completion bash > ~/.local/share/bash-completion/completions/veeam-auth-proxy',
  choices: shells,
  output: 'document',
  async run({ args: [given], io }) {
    const shell = shells.find(known => known === given)
    if (shell === undefined) throw new UsageError(`There is completion for ${shells.join(', ')}, and not for ${given}.`)
    const [{ commands }, { wordsOf }, { scripts }] = await Promise.all([
      import('./index.ts'),
      import('./completion-words.ts'),
      import('./completion-scripts.ts'),
    ])
    const all = await Promise.all(Object.values(commands).map(load => load()))
    print(io.stdout, scripts[shell](all.map(wordsOf)))
    return 0
  },
}
