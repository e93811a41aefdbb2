import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

// A stand-in for an image builder, for as much of the notation as our Dockerfile uses: anything else is an error, so
// that no step goes untested. Each stage is a folder, absolute paths lie below it, and RUN runs on this machine.

/** What is started of an image. */
export interface Image {
  /** The folder that stands for its root directory. */
  root: string
  env: Record<string, string>
  workdir: string
  user: string
  healthcheck: readonly string[]
  entrypoint: readonly string[]
  command: readonly string[]
}

interface Stage extends Image {
  base: string
}

/**
 * Follows the steps of a Dockerfile.
 * @param context folder of the Dockerfile and of what is copied, as far as .dockerignore lets it through
 * @param scratch folder in which the stages are made
 * @returns the last stage, and the commands that were run
 */
export function buildImage(context: string, scratch: string): { image: Image; ran: string[] } {
  const visible = visibleIn(context)
  const stages = new Map<string, Stage>()
  const ran: string[] = []
  let stage: Stage | undefined
  for (const { instruction, rest } of instructionsOf(readFileSync(join(context, 'Dockerfile'), 'utf8'))) {
    if (instruction === 'FROM') {
      const [base = '', , name = String(stages.size)] = rest.split(/\s+/)
      stage = openStage(join(scratch, name), base)
      stages.set(name, stage)
      continue
    }
    if (stage === undefined) throw new Error(`${instruction} before FROM`)
    follow(stage, instruction, rest)
  }
  if (stage === undefined) throw new Error('no stage')
  return { image: stage, ran }

  function follow(into: Stage, instruction: string, rest: string): void {
    switch (instruction) {
      case 'WORKDIR':
        into.workdir = rest
        mkdirSync(join(into.root, rest), { recursive: true })
        return
      case 'ENV':
        for (const assignment of rest.split(/\s+/)) {
          const [name = '', value = ''] = assignment.split(/=(.*)/s)
          into.env[name] = value
        }
        return
      case 'COPY':
        return copy(into, rest.split(/\s+/))
      case 'RUN':
        ran.push(rest)
        return run(into, rest)
      case 'USER':
        into.user = rest
        return
      case 'EXPOSE':
        return
      case 'HEALTHCHECK':
        into.healthcheck = JSON.parse(rest.slice(rest.indexOf('CMD') + 3))
        return
      case 'ENTRYPOINT':
        into.entrypoint = JSON.parse(rest)
        return
      case 'CMD':
        into.command = JSON.parse(rest)
        return
      default:
        throw new Error(`this test does not know ${instruction}`)
    }
  }

  function copy(into: Stage, words: readonly string[]): void {
    const [first = ''] = words
    const from = first.startsWith('--from=') ? stages.get(first.slice('--from='.length)) : undefined
    const paths = first.startsWith('--') ? words.slice(1) : words
    const target = resolve('/', into.workdir, paths.at(-1) ?? '')
    for (const source of paths.slice(0, -1)) {
      if (from === undefined && !visible.has(source)) throw new Error(`.dockerignore keeps ${source} out`)
      const path = from === undefined ? join(context, source) : join(from.root, source)
      const isInto = paths.length > 2 || paths.at(-1)?.endsWith('/')
      cpSync(path, join(into.root, isInto ? join(target, basename(source)) : target), { recursive: true })
    }
  }
}

function openStage(root: string, base: string): Stage {
  mkdirSync(root)
  return { root, base, env: {}, workdir: '/', user: '', healthcheck: [], entrypoint: [], command: [] }
}

function run({ root, workdir, env }: Stage, command: string): void {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd: join(root, workdir),
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: process.env.HOME, npm_config_prefer_offline: 'true', ...env },
  })
  if (status !== 0) throw new Error(`${command}: exit code ${status}\n${stdout}${stderr}`)
}

function instructionsOf(text: string): { instruction: string; rest: string }[] {
  const lines = text.replaceAll(/\\\n\s*/g, '').split('\n')
  return lines
    .filter(line => line.trim() !== '' && !line.startsWith('#'))
    .map(line => {
      const [instruction = '', rest = ''] = line.split(/\s+(.*)/s)
      return { instruction, rest: rest.trim() }
    })
}

/** What a builder is given: ours shuts everything out, and lets single names in. */
function visibleIn(context: string): ReadonlySet<string> {
  const [first, ...others] = readFileSync(join(context, '.dockerignore'), 'utf8').trim().split('\n')
  if (first !== '*' || !others.every(line => /^![\w.-]+$/.test(line))) throw new Error('another kind of .dockerignore')
  return new Set(others.map(line => line.slice(1)).filter(name => existsSync(join(context, name))))
}
