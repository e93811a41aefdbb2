import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Lock } from '../src/state/lock.ts'
import { StateDirectoryHeldError } from '../src/state/store.ts'
import { box, leaveDeadLock, marked, openState, startChild, temporaryFolder } from './store-rig.ts'

test('a second process on the directory is refused and told who holds it', async t => {
  const directory = await temporaryFolder(t)
  await openState(t, directory)
  const child = startChild(t, directory, 'hold')
  child.begin()
  const refused = String(await child.says('refused'))
  assert.match(
    refused,
    new RegExp(`StateDirectoryHeldError: .*${directory}.* process ${process.pid} on ${hostname()} since 2`),
  )
  await child.ended
})

test('the error that refuses a second one says who, where and since when', async t => {
  const directory = await temporaryFolder(t)
  const start = Date.now()
  await openState(t, directory)
  await assert.rejects(openState(t, directory), error => {
    assert.ok(error instanceof StateDirectoryHeldError)
    assert.equal(error.holder?.pid, process.pid)
    assert.equal(error.holder?.host, hostname())
    assert.ok(Math.abs(Date.parse(error.holder?.since ?? '') - start) < 60_000)
    return true
  })
})

test('a process that is stopped still holds the directory, and whoever comes does not wait for it', async t => {
  const directory = await temporaryFolder(t)
  const child = startChild(t, directory, 'hold')
  child.begin()
  await child.says('pid')
  child.kill('SIGSTOP')
  await assert.rejects(openState(t, directory), { name: 'StateDirectoryHeldError', message: /does not say who/ })
  child.kill('SIGCONT')
  await assert.rejects(openState(t, directory), { message: new RegExp(`process ${child.pid} on`) })
})

test('the directory is free again once it is closed', async t => {
  const directory = await temporaryFolder(t)
  for (let time = 0; time < 3; time++) {
    const { state } = await openState(t, directory)
    await state.close()
  }
  assert.deepEqual(await readdir(directory), ['salt'])
})

test('holding the directory keeps no process alive', async t => {
  const directory = await temporaryFolder(t)
  const child = startChild(t, directory, 'leave')
  child.begin()
  const [code] = await child.ended
  assert.equal(code, 0)
  await openState(t, directory)
})

test('of many who start at the same moment, over the locks of dead ones, exactly one gets the directory', async t => {
  const directory = await temporaryFolder(t)
  for (let round = 0; round < 25; round++) {
    await leaveDeadLock(directory, 'lock-000000000000')
    await leaveDeadLock(directory, 'lock-ffffffffffff')
    const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => Lock.take(directory)))
    const taken = attempts.flatMap(attempt => (attempt.status === 'fulfilled' ? [attempt.value] : []))
    for (const lock of taken) await lock.release()
    for (const attempt of attempts) {
      if (attempt.status === 'rejected') assert.ok(attempt.reason instanceof StateDirectoryHeldError, attempt.reason)
    }
    assert.equal(taken.length, 1, `round ${round}`)
    assert.deepEqual(await readdir(directory), [], `round ${round}`)
  }
})

test('of processes that start at the same moment exactly one gets the directory', async t => {
  const directory = await temporaryFolder(t)
  await leaveDeadLock(directory, 'lock-000000000000')
  const children = Array.from({ length: 4 }, () => startChild(t, directory, 'hold'))
  for (const child of children) child.begin()
  const outcomes = await Promise.all(
    children.map(child => Promise.race([child.says('pid'), child.says('refused').then(String)])),
  )
  assert.equal(outcomes.filter(outcome => typeof outcome === 'number').length, 1, String(outcomes))
})

test('what a process left unfinished when it died is swept away at the next start', async t => {
  const directory = await temporaryFolder(t)
  await writeFile(join(directory, 'box.sealed.0123456789ab.tmp'), 'half of')
  await leaveDeadLock(directory, 'lock-0123456789ab')
  await leaveDeadLock(directory, 'lock-ba9876543210.tmp')
  await openState(t, directory)
  const names = (await readdir(directory)).filter(name => !/^lock-[0-9a-f]{12}$/.test(name))
  assert.deepEqual(names, ['salt'])
  assert.ok(!(await readdir(directory)).includes('lock-0123456789ab'))
})

test('killed 50 times while it saves, the next start succeeds at once with a whole value, old or new', async t => {
  const directory = await temporaryFolder(t)
  let next = startChild(t, directory, 'save')
  let stayed = 0
  for (let time = 0; time < 50; time++) {
    const child = next
    // Warmed up while the other one runs.
    next = startChild(t, directory, 'save')
    child.begin()
    assert.equal(await child.says('before'), stayed, `start ${time}`)
    // By turns in the midst of many saves, and at the first one.
    if (time % 2 === 0) await child.says('saved')
    await new Promise(resolve => setTimeout(resolve, Math.random() * 20))
    await child.murder()
    const { state, warnings } = await openState(t, directory)
    const mark = marked(await state.load(box)) ?? 0
    await state.close()
    const saved = Number(child.said.findLast(line => line.has('saved'))?.get('saved') ?? stayed)
    assert.ok(mark === saved || mark === saved + 1, `${saved} was saved and ${mark} is there`)
    assert.deepEqual(warnings, [])
    stayed = mark
  }
  assert.ok(stayed >= 25, `only ${stayed} values were saved`)
  assert.deepEqual((await readdir(directory)).sort(), ['box.sealed', 'salt'])
})
