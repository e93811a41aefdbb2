import { request as plainRequest } from 'node:http'
import { createServer } from 'node:https'
import type { SimulatorOptions } from '../src/simulator/index.ts'
import { jsonOf } from './caller.ts'
import { type Context, sharedCertificate, simulate } from './rig.ts'

const SECRET_MEMBERS = ['password', 'refresh_token', 'access_token', 'mfa_token', 'mfa_code', 'code']

/**
 * A simulated appliance behind a listener that sees every byte: what it gathers are the real passwords, tokens, codes
 * and cookie values of a run, which no test could know beforehand.
 */
export async function startTapped(t: Context, options: SimulatorOptions) {
  const simulator = await simulate(t, { ...options, http: true })
  const { cert, key } = await sharedCertificate()
  const secrets = new Set<string>()
  const note = (value: unknown) => {
    if (typeof value === 'string' && value !== '') secrets.add(value)
  }
  const server = createServer({ cert, key }, (request, response) => {
    note(request.headers.authorization?.replace(/^Bearer /, ''))
    for (const pair of (request.headers.cookie ?? '').split('; ')) note(pair.slice(pair.indexOf('=') + 1))
    const said: Buffer[] = []
    const upstream = plainRequest(
      { host: '127.0.0.1', port: simulator.port, method: request.method, path: request.url, headers: request.headers },
      answer => {
        for (const cookie of answer.headers['set-cookie'] ?? []) note(/^[^=]*=([^;]*)/.exec(cookie)?.[1])
        const heard: Buffer[] = []
        answer.on('data', (chunk: Buffer) => heard.push(chunk))
        answer.once('end', () => {
          const members = jsonOf(Buffer.concat(heard).toString())
          for (const name of SECRET_MEMBERS) note(members.get(name))
        })
        response.writeHead(answer.statusCode ?? 500, answer.rawHeaders)
        answer.once('error', () => response.destroy())
        answer.pipe(response)
      },
    )
    upstream.once('error', () => request.socket.destroy())
    request.on('data', (chunk: Buffer) => said.push(chunk))
    request.once('end', () => {
      const isForm = /form-urlencoded/.test(request.headers['content-type'] ?? '')
      if (!isForm) return
      for (const [name, value] of new URLSearchParams(Buffer.concat(said).toString())) {
        if (SECRET_MEMBERS.includes(name.toLowerCase())) note(value)
      }
    })
    request.pipe(upstream)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { simulator, secrets, url: `https://127.0.0.1:${port}`, certificate: cert }
}

/** The forms a secret can show itself in: as it is, encoded for a URL, a form, JSON or base64, whole or in part. */
export function formsOf(secret: string): string[] {
  const whole = [secret, encodeURIComponent(secret), new URLSearchParams({ s: secret }).toString().slice(2)]
  // As the proxy itself sends it, and in the small digits of other encoders.
  whole.push(strictly(secret), ...[...whole, strictly(secret)].map(form => form.replace(/%../g, x => x.toLowerCase())))
  const forms = [...whole, JSON.stringify(secret).slice(1, -1), JSON.stringify(JSON.stringify(secret)).slice(3, -3)]
  if (secret.length < 8) return [...new Set(forms)]
  // Inside a longer text that was put into base64, such as user:password, at each of the three places it can begin.
  for (const before of ['', 'x', 'xx']) {
    const start = Math.ceil((before.length * 8) / 6)
    const encoded = Buffer.from(before + secret)
      .toString('base64')
      .replace(/=+$/, '')
      .slice(start, -1)
    forms.push(encoded, encoded.replaceAll('+', '-').replaceAll('/', '_'))
  }
  // Cut short by somebody: the middle and the end of a long one still tell it.
  if (secret.length > 60) forms.push(secret.slice(-32), secret.slice(secret.length / 2, secret.length / 2 + 32))
  return [...new Set(forms)]
}

function strictly(secret: string): string {
  return encodeURIComponent(secret).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The forms of these secrets that occur in the text; a short code counts only when no digit stands beside it. */
export function leaksIn(text: string, secrets: Iterable<string>): string[] {
  const leaks: string[] = []
  for (const secret of secrets) {
    for (const form of formsOf(secret)) {
      const found = /^\d+$/.test(form) ? new RegExp(`(?<!\\d)${form}(?!\\d)`).test(text) : text.includes(form)
      if (found) leaks.push(form)
    }
  }
  return leaks
}
