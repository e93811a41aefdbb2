import type { Command } from './command.ts'
import { optionsOf } from './quiet.ts'

/** What there is to complete of one command. */
export interface CommandWords {
  name: string
  summary: string
  options: readonly OptionWords[]
  /** The words that its argument can be, where they are known. */
  choices: readonly string[]
}

export interface OptionWords {
  /** With its dashes. */
  long: string
  short: string | undefined
  description: string
  /** What follows the option, if anything does. */
  value: 'none' | 'file' | 'other'
  choices: readonly string[]
}

export function wordsOf(command: Command): CommandWords {
  const options = optionsOf(command).map(({ flags, description, choices = [] }): OptionWords => {
    const [long = flags] = /--[\w-]+/.exec(flags) ?? []
    const [, short] = /^(-\w)\b/.exec(flags) ?? []
    const [, value] = /<(.*)>/.exec(flags) ?? []
    return {
      long,
      short,
      description,
      choices,
      value: value === undefined ? 'none' : value === 'path' ? 'file' : 'other',
    }
  })
  const help: OptionWords = { long: '--help', short: '-h', description: 'show help', value: 'none', choices: [] }
  return { name: command.name, summary: command.summary, options: [...options, help], choices: command.choices ?? [] }
}
