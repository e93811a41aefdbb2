import type { Appliance } from '../appliance.ts'
import { Failure } from '../errors.ts'
import { canonicalPath } from '../policy/canonical-path.ts'
import { credentialPath, deniedBy, type PathRule } from '../policy/path-rules.ts'
import { type Caller, mayUse } from './callers.ts'

/** `.` or `..` as a segment before the query, in any spelling. Callers resolve theirs before they send. */
const DOT_SEGMENT = /^[^?]*?(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\;?]|%2f|%5c|$)/i

/**
 * Whether a request may be forwarded. Rules see the canonical form of the very path that would be forwarded.
 * @param path and query, byte for byte
 * @throws Failure BAD_REQUEST for a path that cannot be judged, APPLIANCE_DENIED, METHOD_DENIED, PATH_DENIED or
 * CREDENTIALS_WITHHELD
 */
export function checkAccess(appliance: Appliance, caller: Caller | undefined, method: string, path: string): void {
  if (caller !== undefined && !mayUse(caller, appliance.name)) {
    throw new Failure('APPLIANCE_DENIED', `${caller.name} may not use ${appliance.name}.`)
  }
  if (DOT_SEGMENT.test(path)) throw new Failure('BAD_REQUEST', 'The path has a segment of dots, which leads elsewhere.')
  const { rule, credentials } = appliance.access
  const forwardsSignIns = appliance.signIn === 'forward'
  if (credentials && forwardsSignIns && isEmpty(rule) && (caller === undefined || isEmpty(caller.rule))) return
  const canonical = canonicalPath(path)
  if (canonical === undefined) {
    throw new Failure('BAD_REQUEST', 'The path can be read in more than one way; write it without encoded delimiters.')
  }
  const kind = credentialPath(appliance.product, canonical)?.kind
  if (kind !== undefined && !(credentials && (kind === 'other' || forwardsSignIns))) {
    throw new Failure('CREDENTIALS_WITHHELD', `The path ${canonical} hands out or ends credentials.`)
  }
  check(rule, `appliance ${appliance.name}`, method, canonical)
  if (caller !== undefined) check(caller.rule, `caller ${caller.name}`, method, canonical)
}

function check(rule: PathRule, whose: string, method: string, canonical: string): void {
  switch (deniedBy(rule, method, canonical)) {
    case 'method':
      throw new Failure('METHOD_DENIED', `The rules of ${whose} do not allow ${method}.`, { rule: whose })
    case 'path':
      throw new Failure('PATH_DENIED', `The rules of ${whose} do not allow the path ${canonical}.`, { rule: whose })
    case undefined:
  }
}

function isEmpty({ readOnly, methods, paths }: PathRule): boolean {
  return !readOnly && methods === undefined && paths === undefined
}
