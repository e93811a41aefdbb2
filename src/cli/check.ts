import pLimit from 'p-limit'
import { type Command, print, textOf } from './command.ts'
import { withProgress } from './progress.ts'
import { servedSentence, tableOf } from './table.ts'

const AT_ONCE = 16

export const check: Command = {
  name: 'check',
  summary: 'Try the configuration: reach each appliance, sign in once, sign out, and say what is wrong',
  example: 'veeam-auth-proxy check --config appliances.yaml',
  options: [{ flags: '--config <path>', description: 'configuration file (CONFIG; default appliances.yaml)' }],
  async run({ options, io }) {
    const [{ loadConfiguration }, { readSettings }, { logTo }, { Redactor }, { tryAppliance }, { advise }, places] =
      await Promise.all([
        import('../config/load.ts'),
        import('../config/env.ts'),
        import('./log-to.ts'),
        import('../redactor.ts'),
        import('./check-appliance.ts'),
        import('./check-advice.ts'),
        import('../places.ts'),
      ])
    const configuration = await loadConfiguration({ config: textOf(options.config) }, io.env, io.cwd)
    // The report says everything; whoever wants the steps too asks for a detailed log.
    const { logLevel } = await readSettings(io.env)
    const detailed = logLevel === 'debug' || logLevel === 'trace'
    const redactor = new Redactor()
    const log = logTo(io.stderr, detailed ? logLevel : 'silent', redactor, io.env)

    const atOnce = pLimit(AT_ONCE)
    const { appliances } = configuration
    const tried = Promise.all(appliances.map(appliance => atOnce(() => tryAppliance(appliance, { log, redactor }))))
    const trials = await withProgress(io, `Signing in; appliances: ${appliances.length}`, tried)
    const heading = ['appliance', 'product', 'reached', 'trusted', 'signed in', 'session lives', 'next grant']
    print(io.stdout, tableOf([heading, ...trials.map(({ row }) => row)]))
    for (const appliance of configuration.appliances) {
      const sentence = servedSentence(appliance.name, places.addressesOf(configuration, appliance))
      if (sentence !== undefined) print(io.stdout, `\n${sentence}`)
    }
    const advices = await Promise.all(trials.map(trial => advise(trial, configuration)))
    for (const advice of advices.filter(text => text !== undefined)) {
      if (io.quiet === true) print(io.stderr, advice)
      else print(io.stdout, `\n${advice}`)
    }
    return trials.some(({ failure }) => failure !== undefined) ? 1 : 0
  },
}
