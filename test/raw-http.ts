import { connect, type Socket } from 'node:net'
import { createServer } from 'node:tls'
import { type Context, eventually, sharedCertificate } from './rig.ts'

/** A message as the strictest reading of RFC 9112 takes it. */
export interface Message {
  /** The request line or status line. */
  start: string
  /** Name, value, name, value … as they arrived. */
  raw: string[]
  body: Buffer
  trailers: string[]
}

/** Something that two readers could take for two different things. */
export class Ambiguity extends Error {
  override readonly name = 'Ambiguity'
}

/** A message still on its way has its head alone. */
interface Read {
  message: Message
  /** Bytes that it takes, undefined until it is whole. */
  length: number | undefined
}

const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e\x80-\xff]+ HTTP\/1\.1$/
const STATUS_LINE = /^HTTP\/1\.1 \d{3} [\t\x20-\x7e\x80-\xff]*$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/

/**
 * The message that these bytes begin with; undefined while its head is incomplete.
 * @param ended whether no more bytes come, which completes an answer of no other length
 * @throws Ambiguity
 */
export function readMessage(bytes: Buffer, ended = false): Read | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [start = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const isAnswer = start.startsWith('HTTP/')
  if (!(isAnswer ? STATUS_LINE : REQUEST_LINE).test(start)) throw new Ambiguity(`a first line ${JSON.stringify(start)}`)
  const message: Message = { start, raw: lines.flatMap(fieldOf), body: Buffer.alloc(0), trailers: [] }
  const [status = 0] = /(?<=^\S+ )\d{3}/.exec(isAnswer ? start : '')?.map(Number) ?? []
  const lengths = fieldValues(message.raw, 'content-length')
  const codings = fieldValues(message.raw, 'transfer-encoding')
  const [length, coding] = [lengths[0], codings[0]]
  if (lengths.length + codings.length > 1) throw new Ambiguity(`lengths ${lengths}, codings ${codings}`)
  if (isAnswer && (status < 200 || status === 204 || status === 304)) return { message, length: end + 4 }
  if (coding !== undefined) return chunked(bytes, end + 4, message, coding)
  if (length === undefined && isAnswer) {
    message.body = bytes.subarray(end + 4)
    return { message, length: ended ? bytes.length : undefined }
  }
  if (!/^\d*$/.test(length ?? '')) throw new Ambiguity(`a length ${length}`)
  const whole = end + 4 + Number(length ?? 0)
  message.body = bytes.subarray(end + 4, whole)
  return { message, length: bytes.length < whole ? undefined : whole }
}

function chunked(bytes: Buffer, from: number, message: Message, coding: string): Read {
  if (coding.toLowerCase() !== 'chunked') throw new Ambiguity(`a coding ${coding}`)
  const parts: Buffer[] = []
  let at = from
  for (;;) {
    const line = bytes.indexOf('\r\n', at)
    message.body = Buffer.concat(parts)
    if (line === -1) return { message, length: undefined }
    const size = bytes.toString('latin1', at, line)
    if (!/^[0-9a-f]{1,8}$/i.test(size)) throw new Ambiguity(`a chunk size ${JSON.stringify(size)}`)
    const data = line + 2
    at = data + Number.parseInt(size, 16) + 2
    if (at - 2 === data) break
    if (bytes.length < at) return { message, length: undefined }
    if (bytes.toString('latin1', at - 2, at) !== '\r\n') throw new Ambiguity('a chunk without an end')
    parts.push(bytes.subarray(data, at - 2))
  }
  const last = bytes.indexOf('\r\n\r\n', at - 4)
  if (last === -1) return { message, length: undefined }
  message.trailers = bytes
    .toString('latin1', at - 2, last)
    .split('\r\n')
    .filter(line => line !== '')
    .flatMap(fieldOf)
  return { message, length: last + 4 }
}

function fieldOf(line: string): [string, string] {
  const [, name, value] = FIELD.exec(line) ?? []
  if (name === undefined || value === undefined) throw new Ambiguity(`a field line ${JSON.stringify(line)}`)
  return [name, value]
}

function fieldValues(raw: readonly string[], name: string): string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name)
}

/** The path of a request. */
export function targetOf({ start }: Message): string {
  return start.split(' ')[1] ?? ''
}

export interface RawScript {
  /** Answers the nth request that is not for a token, from 1, once all of it is there. */
  answer(message: Message, socket: Socket, nth: number): void
  /** Sees such a request when its head is there; what it answers is the answer. @returns whether it did */
  early?(message: Message, socket: Socket): boolean
  /** What a request for a token is answered with, or what answers it. */
  token?: string | ((socket: Socket) => void)
}

/** An appliance over TLS that reads bytes itself and says bytes. Whatever it could not read in one way only is a fault. */
export async function startRawAppliance(t: Context, script: RawScript) {
  const { cert, key } = await sharedCertificate()
  const seen = {
    /** Requests for a token. */
    grants: 0,
    requests: [] as Message[],
    faults: [] as string[],
    /** Those that are open. */
    sockets: new Set<Socket>(),
  }
  const server = createServer({ cert, key }, socket => {
    let held = Buffer.alloc(0)
    let answered = false
    seen.sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.once('close', () => seen.sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      try {
        take()
      } catch (error) {
        seen.faults.push(String(error))
        socket.destroy()
      }
    })
    function take(): void {
      for (;;) {
        const read = readMessage(held)
        if (read === undefined) return
        const { message, length } = read
        const isGrant = /^POST \S*\/token /.test(message.start)
        if (!isGrant && !answered) answered = script.early?.(message, socket) ?? false
        if (length === undefined) return
        held = held.subarray(length)
        if (isGrant) grant(socket)
        else if (!answered) script.answer(message, socket, seen.requests.push(message))
        else seen.requests.push(message)
        answered = false
      }
    }
  })
  function grant(socket: Socket): void {
    seen.grants += 1
    const { token = TOKEN } = script
    if (typeof token === 'string') socket.write(Buffer.from(token, 'latin1'))
    else token(socket)
  }
  server.on('tlsClientError', () => undefined)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of seen.sockets) socket.destroy()
    return new Promise(resolve => server.close(resolve))
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return Object.assign(seen, { url: `https://127.0.0.1:${port}`, certificate: cert })
}

/** The bytes of an answer of known length. */
export function answerOf(body: string, ...fields: string[]): string {
  return ['HTTP/1.1 200 OK', `Content-Length: ${Buffer.byteLength(body)}`, ...fields, '', body].join('\r\n')
}

const TOKEN = answerOf('{"access_token":"access-1-token","refresh_token":"refresh-1-token","expires_in":3600}')

/** A caller that says bytes, over a connection of its own. */
export function openRaw(t: Context, url: string) {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true })
  t.after(() => socket.destroy())
  const got: Buffer[] = []
  /** How the connection ended: `end` in order, or with an error's code. */
  let ending: string | undefined
  socket.on('data', (chunk: Buffer) => got.push(chunk))
  socket.on('end', () => {
    ending ??= 'end'
  })
  socket.on('error', error => {
    ending ??= 'code' in error ? String(error.code) : error.name
  })

  /** The answers that are there whole, and what follows them. */
  function answers(): { whole: Message[]; rest: Buffer } {
    const whole: Message[] = []
    let rest = Buffer.concat(got)
    for (;;) {
      const read = readMessage(rest, ending === 'end')
      if (read?.length === undefined) return { whole, rest }
      whole.push(read.message)
      rest = rest.subarray(read.length)
    }
  }

  return {
    socket,
    answers,
    say: (bytes: string | Buffer) => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    text: () => Buffer.concat(got).toString('latin1'),
    statuses: () => answers().whole.map(({ start }) => Number(start.split(' ')[1])),
    ending: () => ending,
    /** Waits for that many whole answers, or the end of the connection. */
    heard: (count: number) =>
      eventually(`${count} answers`, () => ending !== undefined || answers().whole.length >= count),
    closed: () => eventually('the end of the connection', () => ending !== undefined),
  }
}
