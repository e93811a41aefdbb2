import { readFile } from 'node:fs/promises'
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml'
import type { Path } from './findings.ts'
import { ConfigurationError, type Mistake } from './mistake.ts'
import { codeOf } from './obstacle.ts'
import { syntaxMistake } from './syntax.ts'

/** A configuration file as parsed: what it holds and where each part of it stands. */
export interface ConfigurationDocument {
  value: unknown
  /** Slips that leave the document readable, such as a key that occurs twice. */
  mistakes: readonly Mistake[]
  /** `FILE:LINE:COLUMN` of a value or of its key; of the nearest part around it when it does not exist. */
  place(path: Path, part: 'key' | 'value'): string
}

/**
 * @param file as it shall stand in messages
 * @param source its absolute path
 * @throws ConfigurationError when it cannot be read or is not YAML; no text of the file is in its messages
 */
export async function readDocument(file: string, source: string): Promise<ConfigurationDocument> {
  const text = await textOf(file, source)
  const lines = new LineCounter()
  // Pretty errors quote the source, and the source holds secrets.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, logLevel: 'error' })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(Math.min(offset, text.length))
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`
  }
  const faults = [...document.errors, ...document.warnings]
  const mistakes = faults.map(fault => syntaxMistake(at(fault.pos[0]), fault.code))
  visit(document, {
    Alias(_, node) {
      if (!node.resolve(document)) mistakes.push(syntaxMistake(at(node.range?.[0] ?? 0), 'BAD_ALIAS'))
    },
  })
  if (mistakes.length > faults.length || faults.some(fault => fault.code !== 'DUPLICATE_KEY')) {
    throw new ConfigurationError(mistakes)
  }
  if (document.contents === null) throw new ConfigurationError([{ place: file, path: '', ...empty }])
  return { value: contentsOf(document, file), mistakes, place: (path, part) => at(offsetOf(document, path, part)) }
}

async function textOf(file: string, source: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(source))
  } catch (error) {
    throw new ConfigurationError([{ place: file, path: '', ...unreadable(file, codeOf(error)) }])
  }
}

const empty = {
  message: 'there is nothing in this file',
  remedy: 'Write appliances: and at least one below it, or delete the file and run: veeam-auth-proxy init',
}

function unreadable(file: string, code: string): { message: string; remedy: string } {
  if (code === 'ENOENT') {
    const flag = file === 'appliances.yaml' ? '' : ` --config ${file}`
    return {
      message: 'there is no such file',
      remedy: `Run: veeam-auth-proxy init${flag} (it writes one to start from), or name another with --config or CONFIG`,
    }
  }
  if (code === 'EISDIR')
    return { message: 'this is a directory', remedy: 'Name the file in it with --config or CONFIG' }
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
    return { message: 'this is not UTF-8 text', remedy: 'Save the file as UTF-8' }
  }
  return { message: `this file cannot be read (${code})`, remedy: 'Make it readable for the account of the proxy' }
}

function contentsOf(document: Document, file: string): unknown {
  try {
    return document.toJS()
  } catch {
    const message = 'aliases in this file multiply without end'
    throw new ConfigurationError([{ place: file, path: '', message, remedy: 'Write the repeated parts out' }])
  }
}

function offsetOf(document: Document, path: Path, part: 'key' | 'value'): number {
  let node = document.contents
  let offset = start(node)
  for (const [index, step] of path.entries()) {
    const pair = childOf(document, node, step)
    if (!pair) return offset
    const isLast = index === path.length - 1
    offset = isLast && part === 'value' ? start(pair.value ?? pair.key) : start(pair.key)
    node = pair.value
  }
  return offset
}

interface Child {
  key: Node | null
  value: Node | null
}

/** The child under a key or index, through aliases and merged maps. */
function childOf(document: Document, parent: Node | null, step: string | number): Child | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent
  if (isSeq<Node>(node)) {
    const item = node.items[Number(step)]
    return item && { key: item, value: item }
  }
  if (!isMap<Node, Node>(node)) return undefined
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
  if (pair) return pair
  for (const { key, value } of node.items) {
    if (!isScalar(key) || key.value !== '<<') continue
    const merged = isSeq<Node>(value) ? value.items : [value]
    for (const source of merged) {
      const found = childOf(document, source, step)
      if (found) return found
    }
  }
  return undefined
}

function start(node: Node | null): number {
  return node?.range?.[0] ?? 0
}
