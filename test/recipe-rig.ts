import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import Type from 'typebox'
import { Parse } from 'typebox/value'
import { startCli } from './cli-rig.ts'
import { eventually } from './rig.ts'

/** What the recipes are written for: `npm run demo`. */
const WRITTEN_FOR = 'http://127.0.0.1:8080'

export const recipes = fileURLToPath(new URL('../config/recipes/', import.meta.url))

const closing: (() => unknown)[] = []
let running: Promise<string> | undefined

after(async () => {
  for (const close of closing) await close()
})

/** The address of a demo that all tests of a file share. */
export function demo(): Promise<string> {
  running ??= startDemo()
  return running
}

async function startDemo(): Promise<string> {
  const started = startCli({ after: close => closing.push(close) }, ['demo', '--port', '0'])
  const address = () => /listens on (http:\S+)\. /.exec(started.text())?.[1]
  await eventually('the demo', () => address() !== undefined)
  return address() ?? ''
}

/** A recipe with nothing changed but the address. */
export async function recipe(name: string, address?: string): Promise<string> {
  return readFileSync(recipes + name, 'utf8').replaceAll(WRITTEN_FOR, address ?? (await demo()))
}

/** The members of what a URL answers with 200. */
export async function answerOf(url: string, options: RequestInit = {}): Promise<Record<string, unknown>> {
  const answer = await fetch(url, options)
  const text = await answer.text()
  assert.equal(answer.status, 200, `${url}: ${text}`)
  return Parse(Type.Record(Type.String(), Type.Unknown()), JSON.parse(text))
}

/** The objects of a list in an answer; there are some. */
export async function entriesOf(url: string, list: string): Promise<Record<string, unknown>[]> {
  const members = await answerOf(url)
  const entries = Parse(Type.Array(Type.Record(Type.String(), Type.Unknown())), members[list])
  assert.ok(entries.length > 1, url)
  return entries
}

/** Checks that every object of a list has the members that a recipe reads. */
export async function assertRead(url: string, list: string, names: readonly string[]): Promise<void> {
  assert.ok(names.length > 0)
  for (const entry of await entriesOf(url, list)) {
    for (const name of names) assert.ok(Object.hasOwn(entry, name), `${url} has no ${list}[].${name}`)
  }
}

/** How often each value of a member occurs in a list. */
export async function countsOf(url: string, list: string, member: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const entry of await entriesOf(url, list)) {
    const name = String(entry[member])
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
