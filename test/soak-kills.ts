import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Simulator } from '../src/simulator/index.ts'
import { simulatorRoot } from '../src/simulator/index.ts'
import { get } from './caller.ts'
import { entryOf } from './cli-rig.ts'
import { chance } from './fake-clock.ts'
import { type Context, eventually, simulate } from './rig.ts'
import { startProcess } from './soak-process.ts'

const product = 'microsoft365'
/** Seconds: the least that can be said on the wire. It is renewed every three quarters of a second. */
const TOKEN_LIFE = 1
/** How long after a renewal began it is waited at most, where one is to be hit, in milliseconds. */
const RENEWAL = 60
/** How long after the start it is waited at most otherwise. */
const ANY_TIME = 900

export interface Kills {
  /** Restarts that took the session up, with or without a renewal. */
  withoutPassword: number
  /** Restarts that took exactly one password grant. */
  withPassword: number
  /** Milliseconds from a start to its first 200. */
  slowest: number
}

/**
 * Kills a proxy that renews all the time, again and again, and starts it anew on the same state directory.
 * @throws when a restart does not serve 200, or takes more than one password grant for it
 */
export async function killRepeatedly(t: Context, main: string, kills: number, seed: number): Promise<Kills> {
  const simulator = await simulate(t, { product, tokenLife: TOKEN_LIFE, refreshLife: 3600, latency: 10 })
  const folder = mkdtempSync(join(tmpdir(), 'kills-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'appliances.yaml'), `appliances:\n${entryOf('box', product, simulator)}`)
  writeFileSync(join(folder, 'key'), 'a key for a state directory that is killed a lot', { mode: 0o600 })
  const env = { STATE_DIRECTORY: 'state', STATE_KEY_FILE: 'key' }
  const random = chance(seed)
  const found: Kills = { withoutPassword: 0, withPassword: 0, slowest: 0 }
  let signIns = 1
  for (let i = 0; i <= kills; i += 1) {
    const began = performance.now()
    const proxy = await startProcess(t, main, folder, env)
    const { status, text } = await get(proxy.url, `/box${simulatorRoot[product]}/status/200`)
    const grants = simulator.counts.signIns - signIns
    signIns = simulator.counts.signIns
    if (status !== 200) throw new Error(`after ${i} kills: ${status} ${text} ${proxy.lastWords()}`)
    if (grants > 1) throw new Error(`after ${i} kills: ${grants} password grants ${proxy.lastWords()}`)
    if (i > 0) {
      found.slowest = Math.max(found.slowest, performance.now() - began)
      if (grants === 0) found.withoutPassword += 1
      else found.withPassword += 1
    }
    await momentToKill(simulator, random)
    proxy.kill('SIGKILL')
    await proxy.ended
  }
  if (simulator.counts.refusedSignIns > 0) throw new Error('a password was refused')
  return found
}

/** Every second one is in the middle of a renewal, or right behind it. */
async function momentToKill({ counts }: Simulator, random: () => number): Promise<void> {
  const hitsRenewal = random() < 0.5
  const wait = random() * (hitsRenewal ? RENEWAL : ANY_TIME)
  const { tokenRequests } = counts
  if (hitsRenewal) await eventually('a renewal', () => counts.tokenRequests > tokenRequests)
  await sleep(wait)
}
