import Type, { type Static } from 'typebox'

const strict = { additionalProperties: false }

const Plain = Type.String({ minLength: 1, title: 'Plain text', description: 'The secret itself, in quotes' })

const Env = Type.String({
  pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
  title: 'env',
  description: 'Name of the environment variable that holds it: letters, digits and _',
})

const File = Type.String({
  minLength: 1,
  title: 'file',
  description: 'File that holds it, readable by its owner only; relative to the configuration file',
})

const Command = Type.Array(Type.String(), {
  minItems: 1,
  title: 'command',
  description: 'Program and arguments that print it, run without a shell, within 10 seconds',
})

const kinds = [
  Plain,
  Type.Object({ env: Env }, strict),
  Type.Object({ file: File }, strict),
  Type.Object({ command: Command }, strict),
] as const

const FORMS = '{ env: NAME }, { file: PATH }, { command: [PROGRAM, ARGUMENT] } or the text itself in quotes'

export const SecretReference = secretReference('Secret', 'A secret')
/** Where a secret is found: as text, or in an environment variable, a file or the output of a program. */
export type SecretReference = Static<typeof SecretReference>

export function secretReference(title: string, what: string) {
  return Type.Union([...kinds], { title, description: `${what}: ${FORMS}` })
}
