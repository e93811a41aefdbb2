import { setFlagsFromString } from 'node:v8'

/**
 * Leaves undici's parser of answers as V8 compiles it at first. To optimize it, one function of 33 kB, takes 80 to 180 ms
 * of CPU and some 40 MB after the first dozens of answers, of which up to 10 MB are never given back; and nothing is
 * faster afterwards that could be measured.
 */
export function leaveWasmUnoptimized(): void {
  setFlagsFromString('--liftoff-only')
}
