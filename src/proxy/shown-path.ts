/** What a parameter is usually called; anything else may be a value that stands alone. */
const NAME = /^[\w.$~%[\]-]{1,64}$/
const MOST = 32

/** The path of a request's target, as it may be written down: without its query. */
export function pathOf(target: string): string {
  const at = target.indexOf('?')
  return at === -1 ? target : target.slice(0, at)
}

/**
 * The names of the parameters in the query of a request's target, `limit&offset`, as they may be written down: values can
 * be secrets. What has no value, or no usual name, shows as `*`. Empty without a query.
 */
export function parameterNamesOf(target: string): string {
  const at = target.indexOf('?')
  if (at === -1) return ''
  const parameters = target.slice(at + 1).split('&', MOST)
  return [...new Set(parameters.filter(parameter => parameter !== '').map(nameOf))].join('&')
}

function nameOf(parameter: string): string {
  const end = parameter.indexOf('=')
  const name = parameter.slice(0, Math.max(0, end))
  return NAME.test(name) ? name : '*'
}
