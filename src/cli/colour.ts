import { styleText } from 'node:util'
import type { Io } from './command.ts'

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'gray' | 'bold'
export type Paint = (colour: Colour, text: string) => string

/** On a terminal, unless NO_COLOR (no-color.org) or a terminal that has none says otherwise. */
export function paintFor({ stdout, env }: Pick<Io, 'stdout' | 'env'>): Paint {
  if (!hasColours(stdout, env)) return (_, text) => text
  // The stream was looked at here: Node.js would look at the environment of the process as well.
  return (colour, text) => styleText(colour, text, { validateStream: false })
}

export function hasColours({ isTTY }: { isTTY?: boolean }, env: Io['env']): boolean {
  return isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
}
