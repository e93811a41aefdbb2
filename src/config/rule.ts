import Type from 'typebox'
import { Check } from 'typebox/value'
import { compilePaths, type PathRule, type PathTest } from '../policy/path-rules.ts'
import { attempted, type Findings, type Path } from './findings.ts'
import { Obstacle } from './obstacle.ts'

/** Who may do what, for callers and for appliances alike. */
export const ruleProperties = {
  readOnly: Type.Optional(
    Type.Boolean({ default: false, title: 'Read only', description: 'Only GET, HEAD and OPTIONS are allowed' }),
  ),
  methods: Type.Optional(
    Type.Array(Type.String({ pattern: '^[A-Z-]+$', description: 'a method in capital letters, such as GET' }), {
      minItems: 1,
      title: 'Methods',
      description: 'The only methods that are allowed, in capital letters',
    }),
  ),
  paths: Type.Optional(
    Type.Array(Type.String({ minLength: 1, description: 'a path such as /v8/Jobs or /v8/**' }), {
      minItems: 1,
      title: 'Paths',
      description:
        "The only paths that are allowed, the appliance's own: /v8/Jobs, /v8/Jobs/* (one segment), /v8/** (any)",
    }),
  ),
}

const Rule = Type.Object(ruleProperties)

/** The rule in an entry; patterns that cannot be read are in the findings. */
export async function ruleOf(entry: unknown, path: Path, findings: Findings): Promise<PathRule> {
  if (!Check(Rule, entry)) return {}
  const { readOnly, methods, paths: patterns } = entry
  const paths = patterns && (await attempted(findings, [...path, 'paths'], () => readablePatterns(patterns)))
  return {
    ...(readOnly === undefined ? {} : { readOnly }),
    ...(methods === undefined ? {} : { methods }),
    ...(paths === undefined ? {} : { paths }),
  }
}

/** @throws Obstacle */
export function readablePatterns(patterns: readonly string[]): PathTest {
  try {
    return compilePaths(patterns)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new Obstacle(`a pattern cannot be read: ${error.message}`, 'Write it as /v8/Jobs, /v8/Jobs/* or /v8/**')
  }
}
