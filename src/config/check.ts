import { Ajv } from 'ajv'
import { explain } from './explain.ts'
import type { Findings } from './findings.ts'

/** Holds a value against a schema and adds what does not fit to the findings. */
export function check(schema: object, value: unknown, findings: Findings): void {
  const ajv = new Ajv({ allErrors: true, verbose: true })
  const fits = ajv.compile(schema)
  if (!fits(value)) explain(fits.errors ?? [], findings)
}
