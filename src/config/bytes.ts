import bytes from 'bytes'

export const BYTES = '^[0-9]+(B|KB|MB|GB|TB)$'

/** Bytes that a text such as 64MB means, by powers of 1,024; undefined when there is none. */
export function bytesOf(text: unknown): number | undefined {
  return typeof text === 'string' && new RegExp(BYTES).test(text) ? (bytes.parse(text) ?? undefined) : undefined
}
