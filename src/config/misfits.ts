import { Ajv } from 'ajv'
import { explain } from './explain.ts'
import type { Findings } from './findings.ts'
import { once } from './once.ts'

/** Adds to the findings where and why a value does not fit a schema. */
export function addMisfits(schema: object, value: unknown, findings: Findings): void {
  const ajv = new Ajv({ ...once, allErrors: true, verbose: true })
  const fits = ajv.compile(schema)
  if (!fits(value)) explain(fits.errors ?? [], findings)
}
