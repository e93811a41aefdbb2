import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Chain, Link } from '../src/chain.ts'

class Named extends Link {
  readonly name: string

  constructor(name: string) {
    super()
    this.name = name
  }
}

function chainOf(names: string) {
  const chain = new Chain<Named>()
  const links = new Map([...names].map(name => [name, new Named(name)]))
  for (const link of links.values()) chain.add(link)
  const leave = (name: string) => {
    const link = links.get(name)
    if (link !== undefined) chain.delete(link)
    return link
  }
  return { chain, leave, names: () => [...chain].map(({ name }) => name).join('') }
}

for (const [leaving, left] of Object.entries({
  a: 'bcd',
  b: 'acd',
  d: 'abc',
  bc: 'ad',
  abcd: '',
  dcba: '',
  adb: 'c',
})) {
  test(`of abcd ${leaving} leave, in that order, and ${left || 'nobody'} stays`, () => {
    const { chain, leave, names } = chainOf('abcd')
    for (const name of leaving) leave(name)
    assert.equal(names(), left)
    assert.equal(chain.size, left.length)
    assert.equal(chain.first?.name, left[0])
    chain.add(new Named('e'))
    assert.equal(names(), `${left}e`)
  })
}

test('what has left refers to nobody, and may leave again or come back', () => {
  const { chain, leave, names } = chainOf('abc')
  const gone = leave('b')
  leave('b')
  assert.equal(chain.size, 2)
  assert.deepEqual([gone?.before, gone?.after, gone?.chain], [undefined, undefined, undefined])
  if (gone !== undefined) chain.add(gone)
  assert.equal(names(), 'acb')
})

test('what is added again is the last one', () => {
  const { chain, leave, names } = chainOf('abc')
  const again = leave('a')
  if (again !== undefined) chain.add(again)
  assert.equal(names(), 'bca')
  const [first] = chain
  if (first !== undefined) chain.add(first)
  assert.deepEqual([names(), chain.size], ['cab', 3])
})

test('a link leaves no chain but its own', () => {
  const { chain, leave, names } = chainOf('ab')
  const gone = leave('a')
  const other = new Chain<Named>()
  if (gone !== undefined) other.add(gone)
  if (gone !== undefined) chain.delete(gone)
  assert.deepEqual([names(), other.size, chain.size], ['b', 1, 1])
})
