/** Shorter values would blank out ordinary text; what is that short must not reach a log line in the first place. */
const SHORTEST = 6

export const REDACTED = '[redacted]'

/**
 * The second net under every output: it knows the secrets now in use by value, in the forms they take on the wire and
 * in JSON, and blanks them out of any text. The first net is never to put one there.
 */
export class Redactor {
  #forms = new Map<string, readonly string[]>()

  learn(secret: string): void {
    if (secret.length < SHORTEST || this.#forms.has(secret)) return
    const base64 = Buffer.from(secret).toString('base64')
    const forms = [
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
      new URLSearchParams({ s: secret }).toString().slice(2),
      base64,
      base64.replace(/=+$/, ''),
      Buffer.from(secret).toString('base64url'),
    ]
    this.#forms.set(
      secret,
      [...new Set(forms)].sort((a, b) => b.length - a.length),
    )
  }

  forget(secret: string): void {
    this.#forms.delete(secret)
  }

  /** The text without any known secret. */
  clean(text: string): string {
    let cleaned = text
    for (const forms of this.#forms.values()) {
      for (const form of forms) if (cleaned.includes(form)) cleaned = cleaned.replaceAll(form, REDACTED)
    }
    return cleaned
  }
}
