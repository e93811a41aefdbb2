import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

export interface Options {
  /** Where to write everything that was measured. */
  json: string | undefined
  markdown: boolean
  check: boolean
  quick: boolean
  profile: boolean
  /** Names of the contestants that take part; all when empty. */
  only: readonly string[]
  rounds: number
  /** The built product. */
  main: string
}

export const USAGE = `npm run bench -- [options]

  --quick         short rounds, two of them: to see that it works, not what is fast
  --rounds N      how many rounds (3, with --quick 2)
  --only A,B,…    only these contestants, no blank after a comma
  --check         end with exit code 1 when a target is missed by more than the measured spread, or could not be
                  told although all that it takes took part
  --json FILE     write everything that was measured
  --markdown      print the tables as README has them
  --profile       instead of all that, print where the proxy's CPU goes while it forwards; with --json FILE, the
                  whole profile is written there
  --dist FOLDER   the built product (dist)
`

/** @throws TypeError on an option that there is not */
export function readOptions(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      dist: { type: 'string', default: fileURLToPath(new URL('../../dist', import.meta.url)) },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { json, markdown, check, quick, profile, dist } = values
  const rounds = Number(values.rounds ?? (quick ? 2 : 3))
  if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError('--rounds is a number from 1 on')
  // A comma before a blank is part of a name.
  const only = values.only.flatMap(names => names.split(/,(?! )/))
  return { json, markdown, check, quick, profile, only, rounds, main: resolve(dist, 'main.js') }
}
