import type { SignInMode } from './configuration.ts'
import type { Findings, Path } from './findings.ts'

const modes: readonly SignInMode[] = ['emulate', 'deny', 'forward']

/** What an appliance's entry says of sign-ins, if anything. Forwarding hands out tokens, which needs its own word. */
export function signInOf(
  entry: Record<string, unknown>,
  handsOut: boolean,
  path: Path,
  findings: Findings,
): { signIn?: SignInMode } {
  const signIn = modes.find(mode => mode === entry.signIn)
  if (signIn === 'forward' && !handsOut) {
    findings.add(
      [...path, 'signIn'],
      'forwarded sign-ins hand out tokens that work without the proxy, which allow does not say',
      'Add allow: [credentials] to the appliance, or leave signIn out',
    )
  }
  return signIn === undefined ? {} : { signIn }
}
