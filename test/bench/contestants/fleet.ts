import { join } from 'node:path'
import { freePort } from '../processes.ts'
import { APPLIANCES, program } from '../site.ts'
import type { Contestant } from './contestant.ts'
import { entry, writeConfiguration } from './product.ts'
import { notBuilt } from './veeam-auth-proxy.ts'

/** How long the simulator may take to start, in milliseconds. */
const SIMULATOR_BOUND = 20_000

/** One process with as many appliances as it is to hold, all of them one simulator. */
export const fleet: Contestant = {
  name: `veeam-auth-proxy with ${APPLIANCES} appliances`,
  kind: 'fleet',
  ownPath: '/-/livez',
  available: notBuilt,
  async start({ processes, folder, main }) {
    const simulator = ['--product', 'azure', '--port', String(await freePort()), '--password', 'any']
    const { pid } = processes.start('upstream', 'simulator', [process.execPath, main, 'simulate', ...simulator])
    const text = await processes.text('simulator', /SHA-256 +\S+/, SIMULATOR_BOUND)
    const url = /https:\S+/.exec(text)?.[0] ?? ''
    const fingerprint = /SHA-256 +(\S+)/.exec(text)?.[1] ?? ''
    const port = await freePort()
    const file = join(folder, 'fleet.yaml')
    const names = Array.from({ length: APPLIANCES }, (_, i) => `box-${i + 1}`)
    writeConfiguration(file, port, names, entry(url, `{ fingerprint: "${fingerprint}" }`, 'any'))
    const probe = ['--import', program('timers.mjs')]
    const command = [process.execPath, ...probe, main, 'serve', '--config', file]
    const started = processes.start('proxy', 'fleet', command, { TIMERS_FILE: timersFile(folder) })
    return { ...started, url: `http://127.0.0.1:${port}/box-1`, beside: [pid] }
  },
}

/** Where the process writes how many timers it has when it gets SIGUSR2. */
export function timersFile(folder: string): string {
  return join(folder, 'timers.json')
}
