import { randomBytes } from 'node:crypto'
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { isMap, isScalar, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { originOf } from '../config/address.ts'
import { readDocument } from '../config/document.ts'
import { codeOf } from '../config/obstacle.ts'
import { CommandError, UsageError } from './command.ts'

/** A fingerprint on its way into the configuration file. */
export interface Pin {
  /** Of the appliance. */
  name: string
  /** True when the file pins this very fingerprint already. */
  isThere: boolean
  /** What `tls` holds now, in words. */
  replaced: string | undefined
  /** Puts it there, and leaves every other byte of the file as it is. @throws CommandError */
  write(): Promise<void>
}

export interface PinParts {
  /** As it shall stand in messages. */
  file: string
  directory: string
  origin: string
  /** Undefined: the only appliance that has this origin. */
  name: string | undefined
  fingerprint: string
}

/** @throws ConfigurationError when the file is none, UsageError when no appliance of it can be meant */
export async function openPin({ file, directory, origin, name, fingerprint }: PinParts): Promise<Pin> {
  const source = resolve(directory, file)
  const { value } = await readDocument(file, source)
  const chosen = chosenOf(membersOf(membersOf(value).appliances), { origin, name, file })
  const { tls } = membersOf(membersOf(membersOf(value).appliances)[chosen])
  const pinned = membersOf(tls).fingerprint
  return {
    name: chosen,
    isThere: typeof pinned === 'string' && digitsOf(pinned) === digitsOf(fingerprint),
    replaced: tls === undefined ? undefined : `tls: { ${Object.keys(membersOf(tls)).join(', ')} }`,
    async write() {
      const target = await realpath(source)
      const text = await readFile(target, 'utf8')
      const edited = withPin(text, chosen, fingerprint)
      if (edited === undefined) {
        const line = `tls: { fingerprint: "${fingerprint}" }`
        throw new CommandError(
          `${chosen} in ${file} is written in a way that is left to you. Put this line into it:\n    ${line}`,
        )
      }
      await replace(target, edited).catch(cause => {
        throw new CommandError(`${file} cannot be written (${codeOf(cause)}), and is as it was.`, { cause })
      })
    },
  }
}

function chosenOf(
  appliances: Record<string, unknown>,
  { origin, name, file }: Pick<PinParts, 'origin' | 'name' | 'file'>,
): string {
  const names = Object.keys(appliances)
  if (name !== undefined) {
    if (!names.includes(name)) {
      throw new UsageError(`There is no appliance ${name} in ${file}; there are: ${names.join(', ')}.`)
    }
    if (hasOrigin(appliances[name], origin)) return name
    throw new UsageError(`The url of ${name} in ${file} is not ${origin}: a pin would belong to another appliance.`)
  }
  const [first, ...others] = names.filter(candidate => hasOrigin(appliances[candidate], origin))
  if (first === undefined) throw new UsageError(`No appliance in ${file} has the url ${origin}.`)
  if (others.length === 0) return first
  const several = [first, ...others].join(', ')
  throw new UsageError(`Several appliances in ${file} have the url ${origin}: ${several}. Name one after the URL.`)
}

function hasOrigin(entry: unknown, origin: string): boolean {
  const { url } = membersOf(entry)
  try {
    return typeof url === 'string' && originOf(url) === origin
  } catch {
    return false
  }
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function digitsOf(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toUpperCase()
}

/**
 * The text with the pin in it, and no other byte changed. What the parser would write by itself has other indents,
 * quotes and line breaks, so that it only tells where; the result is read again to see that it means what it shall.
 * @returns undefined when it does not, as where an entry is an alias of another one's
 */
export function withPin(text: string, name: string, fingerprint: string): string | undefined {
  const document = parseDocument(text, { merge: true })
  const entry = document.getIn(['appliances', name])
  if (!isMap<Node, Node>(entry)) return undefined
  const setting = `tls: { fingerprint: "${fingerprint}" }`
  const edited = spliced(text, entry, setting)
  if (edited === undefined) return undefined
  const before = membersOf(document.toJS())
  const appliances = membersOf(before.appliances)
  const entryWanted = { ...membersOf(appliances[name]), tls: { fingerprint } }
  const wanted = { ...before, appliances: { ...appliances, [name]: entryWanted } }
  return isDeepStrictEqual(meaningOf(edited), wanted) ? edited : undefined
}

/** What the text means; undefined when it cannot be read, as where the anchor of an alias is gone. */
function meaningOf(text: string): unknown {
  const document = parseDocument(text, { merge: true })
  if (document.errors.length > 0) return undefined
  try {
    return document.toJS()
  } catch {
    return undefined
  }
}

function spliced(text: string, entry: YAMLMap<Node, Node>, setting: string): string | undefined {
  const present = pairOf(entry, 'tls')
  if (present?.key.range) {
    const [start, keyEnd] = present.key.range
    const end = trimmedEnd(text, present.value?.range?.[1] ?? text.indexOf(':', keyEnd) + 1)
    return text.slice(0, start) + setting + text.slice(end)
  }
  const neighbour = pairOf(entry, 'url')
  if (!neighbour?.key.range || !neighbour.value?.range) return undefined
  const [start] = neighbour.key.range
  if (entry.flow) return `${text.slice(0, start)}${setting}, ${text.slice(start)}`
  const lineEnd = text.indexOf('\n', neighbour.value.range[1])
  const lineBreak = text.includes('\r\n') ? '\r\n' : '\n'
  const indent = ' '.repeat(start - (text.lastIndexOf('\n', start) + 1))
  if (lineEnd === -1) return `${text}${lineBreak}${indent}${setting}${lineBreak}`
  return `${text.slice(0, lineEnd + 1)}${indent}${setting}${lineBreak}${text.slice(lineEnd + 1)}`
}

function pairOf(entry: YAMLMap<Node, Node>, key: string): Pair<Node, Node> | undefined {
  return entry.items.find(pair => isScalar(pair.key) && pair.key.value === key)
}

function trimmedEnd(text: string, end: number): number {
  return text.slice(0, end).trimEnd().length
}

/** In one step, with mode and owner as they were: the proxy that reads it may run under another account. */
async function replace(file: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(file)
  const unfinished = `${file}.${randomBytes(6).toString('hex')}`
  try {
    const handle = await open(unfinished, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      const made = await handle.stat()
      if (made.uid !== uid || made.gid !== gid) await handle.chown(uid, gid)
      await handle.chmod(mode & 0o7777)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(unfinished, file)
  } finally {
    await rm(unfinished, { force: true })
  }
}
