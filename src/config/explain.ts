import type { ErrorObject } from 'ajv'
import type { Findings, Path } from './findings.ts'
import { nearest } from './nearest.ts'
import { ownersOf } from './schema.ts'

/**
 * Says in plain words what the schema found. A value is never quoted, but for `product`: any other may be a secret
 * that went to the wrong place. Wants ajv's `allErrors` and `verbose`.
 */
export function explain(errors: readonly ErrorObject[], findings: Findings): void {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf')
  for (const error of errors) {
    if (unions.some(union => isInside(error, union))) continue
    if (error.keyword === 'anyOf') {
      const inner = errors.filter(other => isInside(other, error))
      explainUnion(error, inner, findings)
      continue
    }
    explainOne(error, findings)
  }
}

function isInside(error: ErrorObject, union: ErrorObject): boolean {
  return (
    error.schemaPath.startsWith(`${union.schemaPath}/`) &&
    `${error.instancePath}/`.startsWith(`${union.instancePath}/`) &&
    error !== union
  )
}

/** Speaks of the one branch that was meant when there is such a one, and of all of them otherwise. */
function explainUnion(union: ErrorObject, inner: readonly ErrorObject[], findings: Findings): void {
  const branches = branchesOf(union)
  const found = branches.map((_, index) => inner.filter(e => e.schemaPath.startsWith(`${union.schemaPath}/${index}/`)))
  const isHere = (error: ErrorObject): boolean => error.instancePath === union.instancePath
  const right = found.filter(errors => !errors.some(isHere))
  const incomplete = found.filter(errors => errors.every(e => !isHere(e) || e.keyword === 'required'))
  for (const meant of [right, incomplete]) {
    if (meant.length === 1) return explain(meant.flat(), findings)
  }
  const { data } = union
  const path = pathOf(union)
  const takesText = branches.some(({ type }) => type === 'string')
  const isNumber = typeof data === 'number' && branches.some(({ type }) => type === 'integer')
  if (!isMap(data)) {
    const words = branches.map(branch => branch.const).filter(word => typeof word === 'string')
    const kind = takesText ? 'string' : 'object'
    return findings.add(path, ...wrongKind(union, isNumber ? '' : kind, words))
  }
  const known = branches.flatMap(({ properties }) => Object.keys(properties ?? {}))
  const unknown = Object.keys(data).filter(key => !known.includes(key))
  // Where text is taken, an unknown key can be a secret in braces by mistake.
  if (unknown.length > 0 && !takesText) {
    for (const key of unknown) findings.add([...path, key], ...unknownKey(key, known), 'key')
    return
  }
  const meant = unknown.map(key => nearest(key, known)).find(key => key !== undefined)
  const hint = meant ? `Did you mean "${meant}"? ` : ''
  findings.add(path, 'this is none of the forms there are', `${hint}${expected(union)}`)
}

function explainOne(error: ErrorObject, findings: Findings): void {
  const path = pathOf(error)
  const { keyword, params, data } = error
  if (keyword === 'if' || error.propertyName !== undefined) return
  if (keyword === 'required') {
    const key = String(params.missingProperty)
    return findings.add([...path, key], ...missing(key, error))
  }
  if (keyword === 'additionalProperties') {
    const key = String(params.additionalProperty)
    const known = Object.keys(error.parentSchema?.properties ?? {})
    return findings.add([...path, key], ...unknownKey(key, known), 'key')
  }
  if (keyword === 'propertyNames') {
    const { propertyName } = params
    const wanted = String(error.parentSchema?.propertyNames?.description)
    return findings.add([...path, propertyName], 'this is not a valid name', `Choose ${wanted}`, 'key')
  }
  if (keyword === 'enum' && typeof data === 'string') {
    const words: string[] = params.allowedValues
    const meant = nearest(data, words)
    const hint = meant ? `Did you mean "${meant}"? ` : ''
    return findings.add(path, `"${data}" is not known`, `${hint}Choose one of ${words.join(', ')}`)
  }
  findings.add(path, ...wrongKind(error, keyword === 'type' ? params.type : ''))
}

type Words = [message: string, remedy: string]

function wrongKind(error: ErrorObject, type: string, words: readonly string[] = []): Words {
  const { data } = error
  if (data === null || data === '') return ['this has no value', expected(error)]
  if (type === 'string' && (typeof data === 'number' || typeof data === 'boolean')) {
    return [`YAML reads this as a ${typeof data}, and text is expected`, `Put the value in quotes. ${expected(error)}`]
  }
  const meant = typeof data === 'string' ? nearest(data, words) : undefined
  const hint = meant ? `Did you mean "${meant}"? ` : ''
  if (type === 'object') return ['this is not a map of keys and values', `${hint}${expected(error)}`]
  if (Array.isArray(data)) return [data.length === 0 ? 'this is empty' : 'a list is not expected', expected(error)]
  if (isMap(data)) return [Object.keys(data).length === 0 ? 'this is empty' : 'a map is not expected', expected(error)]
  return ['this value does not fit', `${hint}${expected(error)}`]
}

function missing(key: string, error: ErrorObject): Words {
  const known = Object.keys(error.parentSchema?.properties ?? {})
  const other = nearest(
    key,
    Object.keys(isMap(error.data) ? error.data : {}).filter(name => !known.includes(name)),
  )
  if (other) return [`"${key}" is missing`, `Rename "${other}" to "${key}"`]
  const description = error.parentSchema?.properties?.[key]?.description
  return [`"${key}" is missing`, `Add it${description ? `: ${description}` : ''}`]
}

function unknownKey(key: string, known: readonly string[]): Words {
  const owners = ownersOf(key)
  const isAppliance = known.includes('credentials')
  const message = `unknown key "${key}"`
  if (isAppliance && owners.part === 'credentials') return [message, 'Move it under credentials']
  if (isAppliance === (owners.part === 'appliance') && owners.names.length > 0) {
    return [`this product has no key "${key}"`, `Remove it: it belongs to ${owners.names.join(' and ')}`]
  }
  const meant = nearest(key, known)
  return [message, meant ? `Did you mean "${meant}"?` : `Known here: ${known.join(', ')}`]
}

function expected(error: ErrorObject): string {
  return `Expected: ${error.parentSchema?.description ?? error.message}`
}

interface Branch {
  type?: unknown
  const?: unknown
  properties?: object
}

function branchesOf(union: ErrorObject): readonly Branch[] {
  return Array.isArray(union.schema) ? union.schema : []
}

function isMap(data: unknown): data is object {
  return typeof data === 'object' && data !== null && !Array.isArray(data)
}

function pathOf(error: ErrorObject): Path {
  const steps = error.instancePath.split('/').slice(1)
  return steps.map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}
