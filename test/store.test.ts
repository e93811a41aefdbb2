import assert from 'node:assert/strict'
import {
  appendFile,
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StateDirectoryError } from '../src/state/store.ts'
import { box, openState, temporaryFolder } from './store-rig.ts'

const value = { accessToken: 'plainly-visible-token', list: [1, null, 'ü'] }
const other = { name: 'other', origin: 'https://other.example' }

/** A directory in which box has been saved by a process that ended in order. */
async function kept(t: TestContext) {
  const directory = join(await temporaryFolder(t), 'state')
  const { state } = await openState(t, directory)
  await state.save(box, value)
  await state.close()
  return { directory, file: join(directory, 'box.sealed') }
}

/** That box cannot be loaded, that this is told once, and that its file is out of the way but not gone. */
async function assertSetAside(
  t: TestContext,
  directory: string,
  parts: { key?: string; subject?: typeof box; reason?: RegExp } = {},
) {
  const { subject = box, reason = /./, ...rest } = parts
  const { state, warnings } = await openState(t, directory, rest)
  const before = await readdir(directory)
  assert.equal(await state.load(subject), undefined)
  assert.equal(warnings.length, 1)
  assert.match(JSON.stringify(warnings[0]), /box\.sealed\.damaged-2\d{3}-/)
  assert.match(JSON.stringify(warnings[0]), reason)
  const after = await readdir(directory)
  assert.equal(after.length, before.length)
  assert.ok(!after.includes('box.sealed'))
  await state.save(subject, 'anew')
  assert.equal(await state.load(subject), 'anew')
  assert.equal(warnings.length, 1)
}

test('what is saved is there after a restart', async t => {
  const { directory } = await kept(t)
  const { state, warnings } = await openState(t, directory)
  assert.deepEqual(await state.load(box), value)
  assert.equal(await state.load(other), undefined)
  assert.deepEqual(warnings, [])
})

test('what is removed is not there after a restart, and removing it again is no error', async t => {
  const { directory } = await kept(t)
  const first = await openState(t, directory)
  await first.state.remove(box)
  await first.state.remove(box)
  await first.state.close()
  const second = await openState(t, directory)
  assert.equal(await second.state.load(box), undefined)
  assert.deepEqual(second.warnings, [])
})

test('nobody but the owner can open the directory or a file in it', async t => {
  const { directory } = await kept(t)
  await openState(t, directory)
  assert.equal((await stat(directory)).mode & 0o777, 0o700)
  const names = await readdir(directory)
  assert.equal(names.length, 3, `lock, salt and session, not ${names}`)
  for (const name of names) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name)
})

test('no part of a saved value can be read on disk', async t => {
  const { directory, file } = await kept(t)
  for (const name of await readdir(directory)) {
    const bytes = await readFile(join(directory, name), 'latin1')
    for (const part of ['plainly', 'accessToken', 'box.example']) assert.ok(!bytes.includes(part), `${part} in ${name}`)
  }
  assert.ok((await stat(file)).size > JSON.stringify(value).length)
})

test('the same value is never sealed into the same bytes twice', async t => {
  const { directory, file } = await kept(t)
  const first = await readFile(file)
  const { state } = await openState(t, directory)
  await state.save(box, value)
  const second = await readFile(file)
  assert.equal(second.length, first.length)
  assert.notDeepEqual(second.subarray(5, 17), first.subarray(5, 17))
  assert.notDeepEqual(second.subarray(33), first.subarray(33))
})

test('a file with one flipped bit is set aside, wherever the bit is', async t => {
  const { directory, file } = await kept(t)
  const whole = await readFile(file)
  for (const place of [0, 4, 5, 16, 17, 32, 33, whole.length - 1]) {
    const { state, warnings } = await openState(t, directory)
    const bytes = Buffer.from(whole)
    bytes[place] = (bytes[place] ?? 0) ^ 1
    await writeFile(file, bytes)
    assert.equal(await state.load(box), undefined, `byte ${place}`)
    assert.equal(warnings.length, 1, `byte ${place}`)
    await state.close()
  }
})

for (const [what, reason, damage] of [
  ['truncated', /damaged, or/, (file: string) => truncate(file, 40)],
  ['empty', /damaged, or/, (file: string) => truncate(file, 0)],
  ['too long by one byte', /damaged, or/, (file: string) => appendFile(file, 'x')],
  ['too large', /larger than 1048576 bytes/, (file: string) => truncate(file, 2_000_000_000)],
] as const) {
  test(`a file that is ${what} is set aside`, async t => {
    const { directory, file } = await kept(t)
    await damage(file)
    await assertSetAside(t, directory, { reason })
  })
}

test('what stands where a file should be is set aside', async t => {
  const directory = await temporaryFolder(t)
  await mkdir(join(directory, 'box.sealed'))
  await assertSetAside(t, directory)
})

test('a link is not followed', async t => {
  const { directory } = await kept(t)
  const elsewhere = await temporaryFolder(t)
  await copyFile(join(directory, 'salt'), join(elsewhere, 'salt'))
  await symlink(join(directory, 'box.sealed'), join(elsewhere, 'box.sealed'))
  await assertSetAside(t, elsewhere)
})

test('a file written under another key is set aside', async t => {
  const { directory } = await kept(t)
  await assertSetAside(t, directory, { key: 'another key that nobody would guess' })
})

test('a file is set aside when its appliance has moved to another address', async t => {
  const { directory } = await kept(t)
  await assertSetAside(t, directory, { subject: { ...box, origin: 'https://elsewhere.example' } })
})

test('the file of another appliance cannot stand in for the own one', async t => {
  const { directory, file } = await kept(t)
  const first = await openState(t, directory)
  await first.state.save({ ...other, origin: box.origin }, 'not for box')
  await first.state.close()
  await copyFile(join(directory, 'other.sealed'), file)
  await assertSetAside(t, directory)
})

test('a lost or damaged salt costs the kept sessions and not the start', async t => {
  const { directory } = await kept(t)
  await truncate(join(directory, 'salt'), 7)
  const { state, warnings } = await openState(t, directory)
  assert.match(JSON.stringify(warnings), /salt\.damaged-/)
  assert.equal(await state.load(box), undefined)
  await state.save(box, value)
  await state.close()
  const again = await openState(t, directory)
  assert.deepEqual(await again.state.load(box), value)
})

test('of saves made at once the last one stays, and each value is the one of its call', async t => {
  const { state } = await openState(t, await temporaryFolder(t))
  const counter = { count: 0 }
  const saves: Promise<void>[] = []
  for (; counter.count < 50; counter.count++) saves.push(state.save(box, counter), state.save(other, counter.count))
  const loaded = state.load(box)
  await Promise.all(saves)
  assert.deepEqual(await loaded, { count: 49 })
  assert.equal(await state.load(other), 49)
})

test('closing finishes what was asked for, and what comes later is refused', async t => {
  const directory = await temporaryFolder(t)
  const first = await openState(t, directory)
  const saved = first.state.save(box, value)
  await first.state.close()
  await saved
  await assert.rejects(first.state.save(box, 'late'), /closed/)
  const second = await openState(t, directory)
  assert.deepEqual(await second.state.load(box), value)
})

test('a value that cannot be saved is an error and leaves the one before it', async t => {
  const { state } = await openState(t, await temporaryFolder(t))
  await state.save(box, value)
  await assert.rejects(state.save(box, undefined), TypeError)
  await assert.rejects(state.save(box, 'x'.repeat(1_048_576)), RangeError)
  assert.deepEqual(await state.load(box), value)
})

test('a save that fails says so, leaves nothing behind, and the next one works', async t => {
  const { directory, file } = await kept(t)
  const { state } = await openState(t, directory)
  await state.remove(box)
  await mkdir(join(file, 'in the way'), { recursive: true })
  await assert.rejects(state.save(box, value), StateDirectoryError)
  assert.deepEqual(
    (await readdir(directory)).filter(name => name.endsWith('.tmp')),
    [],
  )
  assert.equal(await state.load(box), undefined)
  await state.save(box, value)
  assert.deepEqual(await state.load(box), value)
})

test('every name has a file of its own inside the directory', async t => {
  const { state } = await openState(t, await temporaryFolder(t))
  const names = ['box', 'Box', 'BOX', '../box', 'bo/x', 'bo%2fx', 'büx', '', '.', 'salt', 'lock-000000000000']
  for (const name of names) await state.save({ ...box, name }, name)
  for (const name of names) assert.equal(await state.load({ ...box, name }), name)
})

test('a directory that group or others may write to is refused, one they may only read is not', async t => {
  const directory = await temporaryFolder(t)
  await chmod(directory, 0o770)
  await assert.rejects(openState(t, directory), {
    name: 'StateDirectoryError',
    message: /mode 0770/,
    remedy: /chmod 700/,
  })
  await chmod(directory, 0o755)
  await openState(t, directory)
})

test('a directory that cannot be written to is refused', async t => {
  const self = process.geteuid?.() ?? 0
  // Modes mean nothing to root.
  const account = self === 0 ? 65_534 : self
  t.after(() => process.seteuid?.(self))
  const folder = await temporaryFolder(t)
  const directory = join(folder, 'state')
  await mkdir(directory)
  await chmod(folder, 0o755)
  await chmod(directory, 0o555)
  process.seteuid?.(account)
  await assert.rejects(openState(t, directory), {
    name: 'StateDirectoryError',
    message: /cannot be written to \(EACCES\)/,
  })
  await assert.rejects(openState(t, join(directory, 'new')), { name: 'StateDirectoryError', message: /EACCES/ })
})

test('a file, a path too long and a short key are refused with what to do', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'file'), '')
  const remedy = /\w/
  await assert.rejects(openState(t, join(folder, 'file')), { message: /no directory/, remedy })
  await assert.rejects(openState(t, join(folder, 'file', 'state')), { message: /no directory/, remedy })
  await assert.rejects(openState(t, join(folder, 'x'.repeat(100))), { message: /longer than \d+ bytes/, remedy })
  await assert.rejects(openState(t, folder, { key: 'fifteen letters' }), { message: /16 characters/, remedy })
})
