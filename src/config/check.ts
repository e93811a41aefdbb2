import { Ajv } from 'ajv'
import { explain } from './explain.ts'
import type { Findings } from './findings.ts'

/**
 * For a schema of our own, used once: that it is one is tested, and optimizing the code for it took longer than running
 * it. Both together were a sixth of the time to start.
 */
export const once = { meta: false, validateSchema: false, code: { optimize: false } } as const

/** Holds a value against a schema and adds what does not fit to the findings. */
export function check(schema: object, value: unknown, findings: Findings): void {
  const ajv = new Ajv({ ...once, allErrors: true, verbose: true })
  const fits = ajv.compile(schema)
  if (!fits(value)) explain(fits.errors ?? [], findings)
}
