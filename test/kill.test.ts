import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildProduct } from './soak-build.ts'
import { killRepeatedly } from './soak-kills.ts'

const KILLS = 8

test('a proxy that is killed while it renews serves again after each start, with one password grant at most', async t => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const { withoutPassword, withPassword, slowest } = await killRepeatedly(t, await buildProduct(t), KILLS, seed)
  t.diagnostic(
    `${withoutPassword} starts without a password grant, ${withPassword} with one, ${Math.round(slowest)} ms at most`,
  )
  assert.equal(withoutPassword + withPassword, KILLS)
  assert.ok(withoutPassword > KILLS / 3, `${withoutPassword} starts without a password grant`)
})
