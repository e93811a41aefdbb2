import { ConfigurationError } from '../config/mistake.ts'
import type { Tracing, TracingParts } from './tracing.ts'

/**
 * Begins to send traces. Its packages are optional, and loaded only here: where tracing is off they cost nothing.
 * @param source of the configuration, for the message when they are missing
 * @throws ConfigurationError
 */
export async function openTracing(parts: TracingParts & { source: string }): Promise<Tracing> {
  try {
    const { Tracing } = await import('./tracing.ts')
    return new Tracing(parts)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!/^(ERR_)?MODULE_NOT_FOUND$/.test(code)) throw error
    throw new ConfigurationError([
      {
        place: parts.source,
        path: 'tracing',
        message: 'tracing is on, and the packages of OpenTelemetry are not installed',
        remedy:
          'Install veeam-auth-proxy with its optional dependencies (npm install --include=optional), or turn it off',
      },
    ])
  }
}
