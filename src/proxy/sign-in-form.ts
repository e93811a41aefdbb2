import type { IncomingMessage } from 'node:http'
import { Failure } from '../errors.ts'
import type { Account } from './account.ts'
import type { Shown } from './callers.ts'

/** In bytes; no sign-in comes near it. */
const LARGEST = 65_536

/**
 * What a caller shows that signs in as at an appliance: a form or a JSON object, names and grant in any case, whatever
 * else stands in it. Nothing of it is ever logged.
 * @throws Failure BODY_TOO_LARGE, BAD_REQUEST, or GRANT_WITHHELD for a grant that stands for another account than ours
 */
export async function shownIn(request: IncomingMessage, account: Account): Promise<Shown> {
  const text = (await wholeText(request, account)).replace(/^\uFEFF/, '')
  const isJson = /\bjson\b/i.test(request.headers['content-type'] ?? '') || /^\s*\{/.test(text)
  const members = isJson ? membersOf(text) : fieldsOf(text)
  const one = (name: string): Member => {
    const [member = NONE, another] = members.filter(given => given.name.toLowerCase() === name)
    if (another === undefined) return member
    throw new Failure('BAD_REQUEST', `${name} stands in the sign-in more than once.`)
  }
  // Of the documents, one says that a sign-in without a grant is one with a password. Not so where it cannot be seen that
  // there is none: it could be one that stands for another person.
  const given = one('grant_type').value.trim()
  if (given === '' && !isBare(members)) {
    throw new Failure('BAD_REQUEST', 'No grant_type can be read in the sign-in. Send it in a form or a JSON object.')
  }
  const grant = given || 'password'
  switch (grant.toLowerCase()) {
    case 'password': {
      const { value, literal } = one('password')
      return { type: 'password', username: one('username').value, passwords: [value, literal] }
    }
    case 'refresh_token':
      return { type: 'refresh_token', refreshToken: one('refresh_token').value }
    default: {
      const named = /^[\w:.-]{1,64}$/.test(grant) ? ` ${grant}` : ''
      throw new Failure(
        'GRANT_WITHHELD',
        `The grant${named} is not supported here, only password and refresh_token are.`,
      )
    }
  }
}

interface Member {
  name: string
  value: string
  /** As it was sent: many a tool does not encode what it puts into a form. */
  literal: string
}

const NONE: Member = { name: '', value: '', literal: '' }

/** Nothing at all, or a name and a password without further ado. */
function isBare(members: readonly Member[]): boolean {
  return members.length === 0 || members.some(({ name }) => /^(?:username|password)$/i.test(name))
}

function fieldsOf(text: string): Member[] {
  return text
    .split('&')
    .filter(pair => pair !== '')
    .map(pair => {
      const [[name, value] = ['', '']] = new URLSearchParams(pair)
      return { name, value, literal: pair.slice(pair.indexOf('=') + 1) }
    })
}

function membersOf(text: string): Member[] {
  if (text.trim() === '') return []
  const body = parsed(text)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Failure('BAD_REQUEST', 'The body of the sign-in is no JSON object.')
  }
  return Object.entries(body).map(([name, given]) => {
    const value = textOf(given)
    return { name, value, literal: value }
  })
}

/** What is no text is not nothing: a grant in a list is one that is not known here. */
function textOf(given: unknown): string {
  if (given === null) return ''
  return typeof given === 'string' ? given : JSON.stringify(given)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Leaves what is too much unread: the answer closes the connection. */
async function wholeText(request: IncomingMessage, account: Account): Promise<string> {
  const chunks: Buffer[] = []
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > LARGEST) throw tooLarge()
  // Ending the iteration early must not end the connection, which the answer still has to go over.
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      account.bytesUp += chunk.length
      if (account.bytesUp > LARGEST) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure('BAD_REQUEST', 'The body of the sign-in broke off.', { cause: error })
  }
  return Buffer.concat(chunks).toString()
}

function tooLarge(): Failure {
  return new Failure('BODY_TOO_LARGE', `A sign-in has ${LARGEST} bytes at most.`)
}
