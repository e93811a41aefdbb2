import { type Command, print } from './command.ts'

export const schema: Command = {
  name: 'schema',
  summary: 'Print the JSON Schema of the configuration file',
  example: 'veeam-auth-proxy schema > appliances.schema.json',
  output: 'document',
  run: async ({ io }) => {
    const { jsonSchema } = await import('../config/schema.ts')
    print(io.stdout, JSON.stringify(jsonSchema(), null, 2))
    return 0
  },
}
