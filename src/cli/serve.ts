import { homedir } from 'node:os'
import type { Logger } from 'pino'
import type { Configuration } from '../config/configuration.ts'
import { handedSockets } from '../listen/activation.ts'
import { authorityDirectory } from '../listen/authority-directory.ts'
import { type Command, type Io, textOf, UsageError } from './command.ts'
import { onFreePort } from './on-free-port.ts'
import type { ServiceManager } from './service-manager.ts'
import { untilStopped } from './until-stopped.ts'
import { version } from './version.ts'
import { leaveWasmUnoptimized } from './wasm.ts'
import { startSmall } from './young-generation.ts'

/** How much longer than requests in flight the end may take, for signing out, in milliseconds. */
const SIGN_OUT = 10_000
const LEVELS = 'trace, debug, info, warn, error, fatal or silent'

export const serve: Command = {
  name: 'serve',
  summary: 'Sign in to the appliances and forward local requests to them (the default command)',
  example: 'veeam-auth-proxy serve --config appliances.yaml --port 8081',
  output: 'log',
  options: [
    { flags: '--config <path>', description: 'configuration file (CONFIG; default appliances.yaml)' },
    { flags: '--host <host>', description: 'address to listen on (HOST; before listen in the file)' },
    { flags: '--port <port>', description: 'port to listen on (PORT; before listen in the file)' },
    { flags: '--log-level <level>', description: `${LEVELS} (LOG_LEVEL)` },
  ],
  async run({ options, io }) {
    startSmall()
    leaveWasmUnoptimized()
    const [
      { loadConfiguration },
      { watchFiles },
      { filesOf, masked },
      { flushed, serviceLog },
      { Redactor },
      { ProxyServer },
    ] = await Promise.all([
      import('../config/load.ts'),
      import('../config/watch.ts'),
      import('../config/configuration.ts'),
      import('./service-log.ts'),
      import('../redactor.ts'),
      import('../server.ts'),
    ])
    const level = io.quiet === true ? 'error' : await levelOf(textOf(options.logLevel), io.env)
    const flags = { config: textOf(options.config), host: textOf(options.host), port: textOf(options.port) }
    const load = () => loadConfiguration(flags, io.env, io.cwd)
    const configuration = await load()
    const redactor = new Redactor()
    const log = await serviceLog(io, level, redactor)
    let watched = { files: '', end: Promise.resolve(() => {}) }
    const onConfiguration = (now: Configuration) => {
      log.info({ version: version(), configuration: masked(now) }, 'configuration')
      for (const warning of now.warnings) log.warn(warning)
      const files = filesOf(now)
      // The same files are watched on without a gap: they may have changed again since they were read.
      if (files.join('\n') === watched.files) return
      void watched.end.then(end => end())
      watched = { files: files.join('\n'), end: watchFiles(files, () => void server.reload().catch(told)) }
    }
    const remedy = 'Choose another with --port or --host, with PORT or HOST, or with listen in the configuration.'
    const server = await onFreePort(remedy, () =>
      ProxyServer.start(configuration, {
        log,
        redactor,
        version: version(),
        load,
        handed: handedSockets(io.env, process.pid),
        authorityDirectory: authorityDirectory({
          stateDirectory: configuration.state?.directory,
          env: io.env,
          home: homedir(),
          platform: process.platform,
        }),
      }),
    )
    onConfiguration(configuration)
    server.onConfiguration = onConfiguration
    const manager = await serviceManager(io, log)
    const reload = () => server.reload()
    io.onHangup?.(() => void (manager?.reloading(reload) ?? reload()).catch(told))
    const stopped = untilStopped(io, {
      delay: () => server.configuration.shutdownTimeout + SIGN_OUT,
      logger: loggerOf(log),
      async close() {
        log.info('shutting down')
        const toldManager = manager?.stopping()
        const endWatch = await watched.end
        endWatch()
        await server.close()
        await toldManager
        log.info('ended')
        await flushed(log)
      },
    })
    log.info({ url: server.url, appliances: [...server.appliances.keys()] }, `listening on ${server.url}`)
    manager?.ready(`listening on ${server.url}`)
    return stopped
  },
}

/** Where one waits for word of the process. */
async function serviceManager({ env }: Io, log: Logger): Promise<ServiceManager | undefined> {
  if (!env.NOTIFY_SOCKET) return undefined
  const { ServiceManager } = await import('./service-manager.ts')
  return new ServiceManager(env, log)
}

/** @throws UsageError, or ConfigurationError where the environment names a level that there is not */
async function levelOf(flag: string | undefined, env: Io['env']): Promise<string> {
  const { readSettings } = await import('../config/env.ts')
  if (flag === undefined) return (await readSettings(env)).logLevel
  try {
    return (await readSettings({ LOG_LEVEL: flag })).logLevel
  } catch (cause) {
    throw new UsageError(`--log-level ${flag} is not a level. Give ${LEVELS}.`, { cause })
  }
}

function loggerOf(log: Logger): { error(...words: unknown[]): void } {
  return {
    error(word) {
      if (word instanceof Error) log.fatal({ err: word }, 'the process failed')
      else log.error(String(word))
    },
  }
}

/** What a reload fails of is logged where it fails. */
function told(): void {}
