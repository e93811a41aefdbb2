import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, type ScryptOptions, scrypt } from 'node:crypto'

/** Changes with the format; it stands in the clear at a file's start and is authenticated with the rest. */
const MAGIC = Buffer.from('VAPS\x01', 'latin1')
const NONCE = 12
const TAG = 16
/** About 0.1 s and 32 MiB once per start: the key may be a word that a person chose. */
const SCRYPT: ScryptOptions = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

/** AES-256-GCM under one key. Every text is bound to what it belongs to, so that none can stand in for another. */
export class Seal {
  readonly #key: Buffer

  private constructor(key: Buffer) {
    this.#key = key
  }

  static derive(secret: string, salt: Buffer): Promise<Seal> {
    return new Promise((resolve, reject) => {
      scrypt(secret, salt, 32, SCRYPT, (error, key) => (error === null ? resolve(new Seal(key)) : reject(error)))
    })
  }

  /** 32 bytes for another purpose, which tell nothing of this key (RFC 5869). */
  subkey(purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#key, '', purpose, 32))
  }

  /** Magic, nonce, tag, ciphertext. */
  close(text: string, owner: readonly string[]): Buffer {
    const nonce = randomBytes(NONCE)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG })
    cipher.setAAD(bound(owner))
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return Buffer.concat([MAGIC, nonce, cipher.getAuthTag(), sealed])
  }

  /** Undefined when it was sealed under another key, for another owner, in another format, or changed since. */
  open(sealed: Buffer, owner: readonly string[]): string | undefined {
    const start = MAGIC.length + NONCE + TAG
    if (sealed.length < start || !sealed.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
    const nonce = sealed.subarray(MAGIC.length, MAGIC.length + NONCE)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG })
    decipher.setAAD(bound(owner))
    decipher.setAuthTag(sealed.subarray(MAGIC.length + NONCE, start))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(start)), decipher.final()]).toString('utf8')
    } catch {
      return undefined
    }
  }
}

/** As JSON, so that no two lists of owners' words run into the same bytes. */
function bound(owner: readonly string[]): Buffer {
  return Buffer.concat([MAGIC, Buffer.from(JSON.stringify(owner))])
}
