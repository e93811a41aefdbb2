import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { REDACTED, Redactor } from '../src/redactor.ts'

/** Few letters, so that secrets overlap, begin alike and lie in one another. */
const text = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom('a', 'b', '/', '"', 'ü', '中', ' '), minLength, maxLength })

/** What has to go, found without any haste: every place of every form. */
function expected(said: string, secrets: readonly string[]): string {
  const hidden = Array.from(said, () => false)
  const units = said.split('')
  for (const secret of secrets.filter(({ length }) => length >= 6)) {
    const base64 = Buffer.from(secret).toString('base64')
    const forms = [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), base64]
    const more = [new URLSearchParams({ s: secret }).toString().slice(2), base64.replace(/=+$/, '')]
    for (const form of [...forms, ...more, Buffer.from(secret).toString('base64url')]) {
      for (let at = said.indexOf(form); at !== -1; at = said.indexOf(form, at + 1))
        hidden.fill(true, at, at + form.length)
    }
  }
  return units.map((unit, i) => (hidden[i] ? (hidden[i - 1] ? '' : REDACTED) : unit)).join('')
}

test('every known secret goes from a text in every form, those that overlap too, and nothing else does', () => {
  let found = 0
  fc.assert(
    fc.property(fc.array(text(1, 12), { maxLength: 6 }), fc.array(text(0, 9), { maxLength: 6 }), (secrets, between) => {
      const said = between.map((part, i) => part + (secrets[i] ?? '') + encodeURIComponent(secrets[i] ?? '')).join('')
      const redactor = new Redactor()
      for (const secret of secrets) redactor.learn(secret)
      const cleaned = redactor.clean(said)
      if (cleaned !== said) found += 1
      assert.equal(cleaned.replaceAll(REDACTED + REDACTED, REDACTED), expected(said, secrets))
    }),
    { numRuns: 2000 },
  )
  assert.ok(found > 500, `only ${found} texts had a secret in them`)
})

test('a secret goes from a text however an encoder of another language has written it', () => {
  const secret = `Pa55+w"rd/=& %25#ü<>\\*is!(rep'eated)`
  const small = (text: string) => text.replace(/%../g, octet => octet.toLowerCase())
  const strict = 'Pa55%2Bw%22rd%2F%3D%26%20%2525%23%C3%BC%3C%3E%5C%2Ais%21%28rep%27eated%29'
  const forms = {
    encodeURIComponent: encodeURIComponent(secret),
    'RFC 3986': strict,
    'RFC 3986 in small digits': small(strict),
    'Python quote_plus': strict.replaceAll('%20', '+'),
    '.NET UrlEncode': small(new URLSearchParams({ s: secret }).toString().slice(2)),
    'a string of JSON': JSON.stringify(secret),
    'JSON within JSON': JSON.stringify(JSON.stringify({ secret })),
    'Python json': String.raw`"Pa55+w\"rd/=& %25#\u00fc<>\\*is!(rep'eated)"`,
    'PHP json_encode': String.raw`"Pa55+w\"rd\/=& %25#\u00fc<>\\*is!(rep'eated)"`,
    '.NET JSON': String.raw`"Pa55\u002Bw\u0022rd/=\u0026 %25#\u00FC\u003C\u003E\\*is!(rep\u0027eated)"`,
    ...Object.fromEntries(
      ['', 'a:', 'ab:', 'abc:'].map(before => [
        `base64 ${before}`,
        Buffer.from(`${before}${secret}`).toString('base64'),
      ]),
    ),
    ...Object.fromEntries(
      ['', 'a:', 'ab:', 'abc:'].map(before => [
        `base64url ${before}`,
        Buffer.from(before + secret).toString('base64url'),
      ]),
    ),
  }
  const redactor = new Redactor()
  redactor.learn(secret)
  for (const [encoder, form] of Object.entries(forms)) {
    const cleaned = redactor.clean(`said: ${form} and more`)
    assert.ok(cleaned.startsWith('said: ') && cleaned.endsWith(' and more'), encoder)
    assert.match(cleaned.slice(6, -9), /^.{0,15}\[redacted\].{0,4}$/, encoder)
  }
  redactor.forget(secret)
  for (const form of Object.values(forms)) assert.equal(redactor.clean(form), form)
})

test('a secret that whoever learned it has forgotten is no longer looked for, and its neighbours still are', () => {
  const redactor = new Redactor()
  for (const secret of ['token-1-of-many', 'token-2-of-many', 'token-1-of-many']) redactor.learn(secret)
  redactor.forget('token-1-of-many')
  assert.equal(redactor.clean('token-1-of-many'), REDACTED, 'another one still holds it')
  redactor.forget('token-1-of-many')
  redactor.forget('never-learnt')
  assert.equal(redactor.clean('token-1-of-many token-2-of-many'), `token-1-of-many ${REDACTED}`)
  redactor.forget('token-2-of-many')
  assert.equal(redactor.clean('token-1-of-many token-2-of-many'), 'token-1-of-many token-2-of-many')
})

test('a line costs about the same with four thousand secrets as with four', () => {
  const line = JSON.stringify({
    path: '/api/v8.1/policies?limit',
    status: 200,
    id: 'b0b0b0b0-b0b0',
    source: 'upstream',
  })
  const cost = (count: number) => {
    const redactor = new Redactor()
    for (let i = 0; i < count; i += 1) redactor.learn(`eyJhbGciOi-${i}-of-a-token`)
    const best = Array.from({ length: 20 }, () => {
      const from = performance.now()
      for (let i = 0; i < 500; i += 1) redactor.clean(line)
      return performance.now() - from
    })
    return Math.min(...best)
  }
  const few = cost(4)
  const many = cost(4_000)
  assert.ok(many < few * 20 + 1, `${few.toFixed(2)} ms and ${many.toFixed(2)} ms for 500 lines`)
})
