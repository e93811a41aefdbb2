import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'

export interface Answered {
  status: number
  body: string
  /** `performance.now()` when the answer had come. */
  at: number
}

export interface Asking {
  /** How long to go on asking, in milliseconds. */
  bound: number
  /** The status to wait for. */
  status?: number
  token?: string
  /** PEM text. */
  ca?: string
  /** Says why there is no use in asking on. */
  hopeless?: () => string | undefined
  /** Between two attempts, in milliseconds. */
  pause?: number
}

/** Asks again and again, each time over a new connection, until the answer has the status wanted. */
export async function answered(
  url: string,
  { bound, status = 200, pause = 2, hopeless, ...how }: Asking,
): Promise<Answered> {
  const end = performance.now() + bound
  let last = 'no connection'
  while (performance.now() < end) {
    const answer = await ask(url, how).catch((error: Error) => error.message)
    if (typeof answer !== 'string' && answer.status === status) return answer
    last = typeof answer === 'string' ? answer : `${answer.status} ${answer.body.slice(0, 300)}`
    const reason = hopeless?.()
    if (reason !== undefined) throw new Error(reason)
    await new Promise(resolve => setTimeout(resolve, pause))
  }
  throw new Error(`${url} did not answer ${status} within ${bound} ms: ${last}`)
}

function ask(url: string, { token, ca }: Pick<Asking, 'token' | 'ca'>): Promise<Answered> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return new Promise((resolve, reject) => {
    const take = (response: IncomingMessage) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', text => {
        body += text
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body, at: performance.now() }))
      response.once('error', reject)
    }
    const options = { agent: false as const, headers, timeout: 2_000 }
    const request = url.startsWith('https:')
      ? overHttps(url, { ...options, ...(ca === undefined ? {} : { ca }) }, take)
      : overHttp(url, options, take)
    request.once('timeout', () => request.destroy(new Error('no answer')))
    request.once('error', reject)
    request.end()
  })
}
