import { TOTP, URI } from 'otpauth'
import { Failure } from '../errors.ts'

/** A code of RFC 6238 and the time step it belongs to. */
export interface TotpCode {
  code: string
  step: number
  /** Epoch milliseconds at which the next step begins. */
  nextStepAt: number
}

/**
 * The code that a secret gives at a time.
 * @param secret base32, spaces and letter case ignored, or an otpauth:// URI
 * @param wall epoch milliseconds
 * @throws Failure SECRET_UNREADABLE when the secret is neither
 */
export function totpCode(secret: string, wall: number): TotpCode {
  const totp = parse(secret)
  const period = totp.period * 1000
  const step = Math.floor(wall / period)
  return { code: totp.generate({ timestamp: wall }), step, nextStepAt: (step + 1) * period }
}

function parse(secret: string): TOTP {
  try {
    if (!secret.startsWith('otpauth:')) return new TOTP({ secret: secret.replace(/[\s-]/g, '').toUpperCase() })
    const parsed = URI.parse(secret)
    if (parsed instanceof TOTP) return parsed
  } catch (cause) {
    throw new Failure('SECRET_UNREADABLE', 'The TOTP secret is neither base32 nor an otpauth://totp URI.', { cause })
  }
  throw new Failure('SECRET_UNREADABLE', 'The otpauth URI is not one of type totp.')
}
