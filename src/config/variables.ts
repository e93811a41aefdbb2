import { Ajv } from 'ajv'
import envSchema from 'env-schema'
import Type, { type Static, type TObject } from 'typebox'
import { Check } from 'typebox/value'
import { ConfigurationError, type Mistake } from './mistake.ts'
import { once } from './once.ts'

/**
 * Variables of the environment as the schema wants them, numbers among them.
 * @throws ConfigurationError naming each variable that does not fit
 */
export function variablesIn<Schema extends TObject>(schema: Schema, data: Record<string, unknown>): Static<Schema> {
  try {
    // The schema is copied because env-schema writes to it.
    return envSchema<Static<Schema>>({ schema: { ...schema }, data, env: false, ajv: ajv() })
  } catch (error) {
    if (!Check(SchemaErrors, error)) throw error
    const names = new Set(error.errors.map(({ instancePath }) => instancePath.slice(1)))
    throw new ConfigurationError([...names].map(name => mistakeIn(schema, name)))
  }
}

/** As env-schema makes its own, but for a schema that is used once. */
function ajv(): Ajv {
  return new Ajv({ ...once, allErrors: true, removeAdditional: true, useDefaults: true, coerceTypes: true })
}

const SchemaErrors = Type.Object({ errors: Type.Array(Type.Object({ instancePath: Type.String() })) })

function mistakeIn({ properties }: TObject, name: string): Mistake {
  const schema = Object.entries<object>(properties).find(([key]) => key === name)?.[1]
  const wanted = schema && 'description' in schema ? schema.description : 'something else'
  const message = 'the value of this variable does not fit'
  return { place: 'environment', path: name, message, remedy: `Set it to ${wanted}, or unset it` }
}
