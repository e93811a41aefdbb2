import type { ErrorCode } from 'yaml'
import type { Mistake } from './mistake.ts'

type Words = readonly [message: string, remedy: string]

const quoteIt: Words = [
  'a value that begins with one of & * ! | > % @ ` { [ means something else in YAML',
  "Put the value in 'single quotes'",
]

/** The parser's own messages quote the source, which holds secrets, so none of them is shown. */
const words: Partial<Record<ErrorCode, Words>> = {
  TAB_AS_INDENT: ['a tab in the indentation', 'Indent with spaces'],
  DUPLICATE_KEY: ['this key occurs a second time', 'Keep one of the two'],
  MULTIPLE_DOCS: ['a second document begins here', 'Keep one: remove the line --- and what does not belong'],
  BAD_ALIAS: quoteIt,
  BAD_SCALAR_START: quoteIt,
  TAG_RESOLVE_FAILED: quoteIt,
  UNEXPECTED_TOKEN: quoteIt,
  BAD_COLLECTION_TYPE: quoteIt,
  MISSING_CHAR: ['a quote, bracket, brace or comma is missing before this place', 'Close what was opened'],
  BAD_INDENT: ['the indentation does not fit, or a bracket is not closed', 'Line the keys of one level up'],
  BAD_DQ_ESCAPE: [
    'a backslash in double quotes begins an escape that does not exist',
    "Use 'single quotes', where a backslash is an ordinary character",
  ],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second key on one line, or a key indented below a value',
    "Put a value that holds ': ' in 'single quotes', or correct the indentation",
  ],
  MULTILINE_IMPLICIT_KEY: ['a key goes over several lines', "Write a key, ': ' and its value on one line"],
}

const otherwise: Words = ['this is not YAML', 'Look at the quotes, colons and indentation at this place']

export function syntaxMistake(place: string, code: ErrorCode): Mistake {
  const [message, remedy] = words[code] ?? otherwise
  return { place, path: '', message, remedy }
}
