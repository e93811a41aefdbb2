import { azure } from './azure.ts'
import { googleCloud } from './google-cloud.ts'
import { microsoft365 } from './microsoft365.ts'
import type { Profile } from './profile.ts'
import { type ApplianceOptions, type Simulator, startAppliance } from './simulator.ts'

export { type Certificate, type CertificateOptions, createCertificate } from './certificate.ts'
export type { Counts } from './counts.ts'
export { downloadBytes } from './download.ts'
export type { Fault, FaultAnswer } from './faults.ts'
export { defaultPassword, defaultUsername, type Simulator } from './simulator.ts'

const profiles = { azure, microsoft365, 'google-cloud': googleCloud } as const satisfies Record<string, Profile>

export type SimulatedProduct = keyof typeof profiles

export interface SimulatorOptions extends ApplianceOptions {
  product: SimulatedProduct
}

export function isSimulatedProduct(name: string): name is SimulatedProduct {
  return Object.hasOwn(profiles, name)
}

export const simulatedProducts: readonly SimulatedProduct[] = Object.keys(profiles).filter(isSimulatedProduct)

/** Where each product's test-only resources stand: downloads, uploads, echo, effects, status, slow, redirect. */
export const simulatorRoot: Readonly<Record<SimulatedProduct, string>> = {
  azure: azure.root,
  microsoft365: microsoft365.root,
  'google-cloud': googleCloud.root,
}

export function startSimulator({ product, ...options }: SimulatorOptions): Promise<Simulator> {
  return startAppliance(profiles[product], options)
}
