import type { Logger } from 'pino'
import { Appliance } from '../appliance.ts'
import type { ApplianceConfiguration } from '../config/configuration.ts'
import { Failure, type FailureCode, messageOf } from '../errors.ts'
import type { Redactor } from '../redactor.ts'
import { systemClock } from '../session/clock.ts'

/** How one appliance fared. */
export interface Trial {
  configuration: ApplianceConfiguration
  /** appliance, product, reached, trusted, signed in, session lives, next grant */
  row: readonly string[]
  failure: Failure | undefined
  /** True when there is a code that can be spent only once, and that therefore was not. */
  kept: boolean
}

type Verdict = Readonly<Record<'reached' | 'trusted' | 'signedIn' | 'lives' | 'nextGrant', string>>

/** Signs in once and out again. Nothing is tried a second time: an account must not be locked by a check. */
export async function tryAppliance(
  configuration: ApplianceConfiguration,
  { log, redactor }: { log: Logger; redactor: Redactor },
): Promise<Trial> {
  let life: number | undefined
  const appliance = new Appliance(configuration, {
    log,
    redactor,
    clock: systemClock,
    onEvent(_, event) {
      if (event.type === 'granted') life = event.life
    },
  })
  const kept = configuration.credentials.type === 'authorization_code'
  const trial = (verdict: Verdict, failure?: Failure): Trial => {
    const { reached, trusted, signedIn, lives, nextGrant } = verdict
    const row = [configuration.name, configuration.product.name, reached, trusted, signedIn, lives, nextGrant]
    return { configuration, row, failure, kept }
  }
  const trusted = trustOf(configuration)
  try {
    if (kept) {
      await touch(configuration, appliance)
      const nextGrant = configuration.credentials.type
      return trial({ reached: 'yes', trusted, signedIn: 'not tried', lives: '-', nextGrant })
    }
    await appliance.session.attempt()
    const nextGrant = nextGrantOf(configuration, appliance)
    await appliance.session.signOut()
    return trial({ reached: 'yes', trusted, signedIn: 'yes', lives: spanOf(life), nextGrant })
  } catch (error) {
    const failure = error instanceof Failure ? error : new Failure('INTERNAL', messageOf(error), { cause: error })
    return trial({ ...furthest(failure.code, trusted), lives: '-', nextGrant: '-' }, failure)
  } finally {
    await appliance.destroy()
  }
}

/** Any answer shows that the appliance is there and trusted; one that refuses a token that never was is the good one. */
async function touch({ product, options }: ApplianceConfiguration, { client }: Appliance): Promise<void> {
  const { status } = await client.send(product.dialect(options).signOut('none'))
  if (status === 404) throw new Failure('SIGN_IN_UNKNOWN', 'The appliance answered 404 at the path of its tokens.')
}

function trustOf({ url, tls }: ApplianceConfiguration): string {
  if (url.startsWith('http:')) return 'no TLS'
  if (tls.fingerprint !== undefined) return 'pinned'
  return tls.verify ? 'yes' : 'not verified'
}

function nextGrantOf({ credentials }: ApplianceConfiguration, { session }: Appliance): string {
  return session.current()?.refreshToken === undefined ? credentials.type : 'refresh_token'
}

function furthest(code: FailureCode, trusted: string): Pick<Verdict, 'reached' | 'trusted' | 'signedIn'> {
  switch (code) {
    case 'SECRET_UNREADABLE':
      return { reached: 'not tried', trusted: '-', signedIn: 'no' }
    case 'APPLIANCE_UNREACHABLE':
    case 'APPLIANCE_TIMEOUT':
      return { reached: 'no', trusted: '-', signedIn: 'no' }
    case 'CERTIFICATE_UNTRUSTED':
      return { reached: 'yes', trusted: 'no', signedIn: 'no' }
    case 'CODE_WANTED':
      return { reached: 'yes', trusted, signedIn: 'code wanted' }
    default:
      return { reached: 'yes', trusted, signedIn: 'no' }
  }
}

function spanOf(milliseconds = 0): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}
