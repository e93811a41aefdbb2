import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type SimulatedProduct, type Simulator, simulatedProducts } from '../src/simulator/index.ts'
import { call } from './caller.ts'
import { entryOf } from './cli-rig.ts'
import { type Relay, startRelay } from './relay.ts'
import { type Context, simulate } from './rig.ts'
import { type ProxyProcess, startProcess } from './soak-process.ts'

/** Seconds. */
const TOKEN_LIFE = 2
const REFRESH_LIFE = 3600

/** One appliance behind a connection that fails at command. */
export interface Target {
  name: SimulatedProduct
  simulator: Simulator
  relay: Relay
}

export interface Site {
  targets: readonly Target[]
  proxy: ProxyProcess
  /** Writes the configuration anew, with the certificates that the appliances have now, and has it taken up. */
  reload(): Promise<void>
}

/** One appliance of each product, a proxy in a process of its own, and a relay on every way between them. */
export async function startSite(t: Context, main: string): Promise<Site> {
  const targets = await Promise.all(
    simulatedProducts.map(async name => {
      const simulator = await simulate(t, { product: name, tokenLife: TOKEN_LIFE, refreshLife: REFRESH_LIFE })
      const relay = await startRelay({ host: '127.0.0.1', port: simulator.port })
      t.after(() => relay.close())
      return { name, simulator, relay }
    }),
  )
  const folder = mkdtempSync(join(tmpdir(), 'soak-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const write = () => {
    const text = `appliances:\n${targets.map(entry).join('')}`
    writeFileSync(join(folder, 'written.yaml'), text, { mode: 0o600 })
    renameSync(join(folder, 'written.yaml'), join(folder, 'appliances.yaml'))
  }
  write()
  const proxy = await startProcess(t, main, folder)
  return {
    targets,
    proxy,
    async reload() {
      write()
      const { status, text } = await call(proxy.url, { method: 'POST', path: '/-/reload' })
      if (status !== 200) throw new Error(`the configuration was refused: ${text}`)
    },
  }
}

function entry({ name, simulator, relay }: Target): string {
  const url = `https://127.0.0.1:${relay.port}`
  return `${entryOf(name, name, simulator, { url })}    timeouts: { connect: 5s, firstByte: 5s, idle: 5s }\n`
}
