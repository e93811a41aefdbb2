import { spawnSync } from 'node:child_process'
import type { TestContext } from 'node:test'

const REMEDY = 'promtool is not installed; it is in the package prometheus of Debian: apt-get install prometheus'

/**
 * Runs Prometheus' own checker. Where there is none the test is skipped with a line that tells how to get it, and in CI
 * it fails.
 * @returns undefined when the test has been skipped
 */
export function promtool(
  t: TestContext,
  args: readonly string[],
  input = '',
): { exitCode: number | null; said: string } | undefined {
  const { status, error, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  if (error === undefined) return { exitCode: status, said: stdout + stderr }
  if (!('code' in error) || error.code !== 'ENOENT' || process.env.CI === 'true')
    throw new Error(REMEDY, { cause: error })
  t.skip(REMEDY)
  return undefined
}
