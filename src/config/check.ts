import { Check } from 'typebox/value'
import type { Findings } from './findings.ts'

/**
 * Holds a value against a schema and adds what does not fit to the findings. Ajv alone can say what that is, and has the
 * last word; but loading it and having it compile schemas, this one and those of env-schema, was 100 of the 430 ms of
 * every start and 8 of 85 MB, and what fits needs no words.
 */
export async function check(schema: object, value: unknown, findings: Findings): Promise<void> {
  if (Check(schema, value)) return
  const { addMisfits } = await import('./misfits.ts')
  addMisfits(schema, value, findings)
}
