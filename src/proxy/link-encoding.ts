import { Transform } from 'node:stream'
import * as zlib from 'node:zlib'

/**
 * What takes the encoding off an answer that came encoded although identity was asked for.
 * @returns undefined where nothing is encoded; 'unknown' for what this Node.js cannot decode, and for several codings
 */
export function decoderFor(contentEncoding: string | undefined): Transform | undefined | 'unknown' {
  switch (contentEncoding?.trim().toLowerCase() ?? '') {
    case '':
    case 'identity':
      return undefined
    case 'gzip':
    case 'x-gzip':
    case 'deflate':
      return zlib.createUnzip()
    case 'br':
      return zlib.createBrotliDecompress()
    case 'zstd':
      return zstd()
    default:
      return 'unknown'
  }
}

/** Node.js has it from 22.15 on. */
function zstd(): Transform | 'unknown' {
  const create: unknown = Reflect.get(zlib, 'createZstdDecompress')
  if (typeof create !== 'function') return 'unknown'
  const decoder: unknown = create()
  return decoder instanceof Transform ? decoder : 'unknown'
}
